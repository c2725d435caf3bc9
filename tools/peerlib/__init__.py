# SPDX-License-Identifier: MIT
"""The peer that Godwit is measured against: Linux's KVM with QEMU, on the same emulated hosts.

hostimage.py makes the Linux host out of Debian's packages, linuxhosts.py runs two of them on the
lab's bridge, qmp.py talks to the QEMU that runs a guest there, systems.py gives both systems one
face, report.py says what was measured.  tools/bench-peer puts them together.
"""
