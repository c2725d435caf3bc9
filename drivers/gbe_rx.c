/* SPDX-License-Identifier: MIT */
/*
 * drivers/gbe_rx.c - receive descriptors in, frames out.  Called by drivers/gbe.c.
 */
#include "drivers/gbe_rx.h"

/* The verdict on the frame when this descriptor's piece has joined it. */
static enum gbe_rx_got judge(const struct gbe_rx *r, const struct gbe_rx_desc *d, uint32_t max_len)
{
	bool last = d->status & RX_STATUS_EOP;
	uint32_t len = r->frame.len + d->len;

	/* "Receive Descriptor Errors Field": what stands there is valid with EOP only. */
	if (last && (d->errors & RX_ERRORS_FRAME))
		return GBE_RX_BAD;
	if (r->verdict != GBE_RX_FRAME)
		return r->verdict;
	if (d->len > GBE_SLOT_SIZE || r->held == FRAME_PARTS_MAX || (last && len < FRAME_LEN_MIN))
		return GBE_RX_BAD;
	return len > max_len ? GBE_RX_LONG : GBE_RX_FRAME;
}

enum gbe_rx_got gbe_rx_take(struct gbe_rx *r, const struct gbe_rx_desc *d, const uint8_t *slot,
			    uint32_t max_len)
{
	if (!r->inside) {
		frame_clear(&r->frame);
		r->verdict = GBE_RX_FRAME;
	}
	r->verdict = judge(r, d, max_len);
	if (r->verdict == GBE_RX_FRAME && d->len > 0)   /* the last may have had the CRC alone */
		frame_add(&r->frame, slot, d->len);
	r->inside = !(d->status & RX_STATUS_EOP);
	r->held = r->inside && r->verdict == GBE_RX_FRAME ? r->held + 1 : 0;
	return r->inside ? GBE_RX_PART : r->verdict;
}
