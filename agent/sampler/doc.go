// Package sampler reads the machine: interface counters, cpu, memory, disk, temperature through gopsutil; batteries and
// mains, Wi-Fi stations and DHCP leases from the kernel and the DHCP server themselves, which gopsutil does not know.
//
// In: the kernel's counters and files. Out: what passed since the reading before, with the highest rate of ten seconds on
// the WAN interface, and the state of the machine. It guarantees that a counter that wraps or is reset, and a device that is
// plugged, renamed or replaced, never makes traffic that was not there; that what a platform lacks is left out, never
// zero; and that of clients nothing comes out but how many. It keeps nothing on disk: after a power cut it counts on.
package sampler
