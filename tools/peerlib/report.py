# SPDX-License-Identifier: MIT
"""What the bench measured: the report's shape, its table, and the two measures."""

import re
import statistics

MEASURED = ("total_ms", "downtime_ms", "bytes", "rounds", "converged")
EXITS = ("cpuid", "rdmsr", "lapic_mmio", "pio_device")
BEAT = re.compile(r"^beat (\d+): (\d+) written, (\d+) wrong\r?\n", re.MULTILINE)
RATE_LINE = re.compile(r"^tcprate (\d+) bytes (\d+) us\r?\n", re.MULTILINE)
BENCH_LINE = re.compile(r"^bench exit_(\w+) (\d+)\r?\n", re.MULTILINE)
HALF = 0.5
SYSTEMS = ("godwit", "kvm")


def beats(console):
    """What the guest said of itself, in whole lines: [(number, pages written, pages wrong)]."""
    return [tuple(map(int, found)) for found in BEAT.findall(console)]


def exits(console):
    """The figures that the micro-guest exitbench printed, under the report's names."""
    found = {name: int(value) for name, value in BENCH_LINE.findall(console)}
    missing = [name for name in EXITS if name not in found]
    if missing:
        raise ValueError(f"exitbench did not measure {', '.join(missing)}")
    return {name: found[name] for name in EXITS}


def wire_rate(text):
    """Bytes a second, out of what tcprate printed."""
    found = RATE_LINE.search(text)
    if not found:
        raise ValueError(f"tcprate said {text!r}")
    return int(found[1]) * 1e6 / int(found[2])


def entry(system, run, load, measured, loadavg):
    """One migration of the report."""
    return {"load": load, "system": system, **{key: measured[key] for key in MEASURED},
            "run": run, "loadavg": loadavg}


def median(entries, key):
    """Over the runs that ended well; None without any."""
    values = [e[key] for e in entries if e["converged"]]
    return statistics.median(values) if values else None


def ratio(migrations, load, key):
    """Godwit's median by the peer's; None where one is missing."""
    ours, theirs = (median([m for m in migrations if m["load"] == load and m["system"] == s], key)
                    for s in SYSTEMS)
    return ours / theirs if ours is not None and theirs else None


def wire_ratio(report):
    """Godwit's bytes a second of an idle move, all of its time counted, by those of Linux's TCP on
    the same wire; the medians.  None where one is missing."""
    moves = [m["bytes"] / m["total_ms"] * 1e3 for m in report["migrations"]
             if m["load"] == "idle" and m["system"] == "godwit" and m["converged"]]
    rates = [w["bytes_s"] for w in report["wire"]]
    return statistics.median(moves) / statistics.median(rates) if moves and rates else None


def table(report):
    """The report for people: a line a load and system, then the exits."""
    lines = [f"{'load':10} {'system':7} {'runs':>4} {'total ms':>28} {'downtime ms':>24} "
             f"{'MB':>6} {'rounds':>10}"]
    migrations = report["migrations"]
    for load in dict.fromkeys(m["load"] for m in migrations):
        for system in SYSTEMS:
            of = [m for m in migrations if (m["load"], m["system"]) == (load, system)]
            done = [m for m in of if m["converged"]]
            failed = f" ({len(of) - len(done)} did not converge)" if len(done) < len(of) else ""
            if of:
                lines.append(f"{load:10} {system:7} {len(of):4} {_list(done, 'total_ms', 0):>28} "
                             f"{_list(done, 'downtime_ms', 1):>24} "
                             f"{(median(of, 'bytes') or 0) / 1e6:6.1f} "
                             f"{_list(done, 'rounds', 0):>10}{failed}")
        total, down = (ratio(migrations, load, key) for key in ("total_ms", "downtime_ms"))
        if total is not None and down is not None:
            lines.append(f"{'':10} godwit by kvm: total {total:.2f}, downtime {down:.2f}")
    if report["wire"]:
        rates = " / ".join(f"{w['bytes_s'] / 1e6:.1f}" for w in report["wire"])
        of = wire_ratio(report)
        share = "" if of is None else f"; an idle move of godwit's carries {of:.2f} of it"
        lines.append(f"the wire's TCP, Linux to Linux: {rates} MB/s{share}")
    if report["exits"]:
        lines.append("instructions an exit: " + ", ".join(EXITS))
    for e in report["exits"]:
        lines.append(f"{'':10} {e['system']:7} " + " ".join(f"{e[name]:7}" for name in EXITS))
    return "\n".join(lines)


def _list(entries, key, digits):
    return " / ".join(f"{e[key]:.{digits}f}" for e in entries)


def missed(report):
    """Sentences, one for each measure that was not reached; what was not measured is none."""
    found = []
    for key in ("total_ms", "downtime_ms"):
        value = ratio(report["migrations"], "idle", key)
        if value is not None and value > HALF:
            found.append(f"idle: {key} is {value:.2f} of the peer's, at most {HALF} wanted")
    value = wire_ratio(report)
    if value is not None and value <= HALF:
        found.append(f"idle: {value:.2f} of the wire's TCP rate, more than {HALF} wanted")
    return found
