# SPDX-License-Identifier: MIT
"""The lab: emulated hosts, a bridge and a client on one machine.  Standard library only.

proc.py     processes of ours: known by PID and start time, so that no other is ever killed
net.py      the network namespace with its bridges, taps and the client's port
iso.py      a bootable image: godwit.elf, its modules and a GRUB that starts at once
machine.py  one emulated host: what it is made of
bochs.py    the backend bochs                 qemu.py   the backends qemu and kvm
kvm.py      does a hypervisor run under this machine's KVM?  kvm_probe.S finds out
backends.py the backends by name, the best one here, and which node has which
vmdef.py    VM definitions (JSON) and the payloads that they name
boot.py     one host without a network, run to its verdict: the boot tests
lab.py      several hosts on a network: up, status, down
relay.py    a serial line that a person can type on
cli.py      the commands of tools/lab
"""
