// Package sampler reads the machine, through gopsutil only: interface counters, cpu, memory, disk, temperature.
//
// In: the kernel's counters. Out: what passed since the reading before, with the highest rate seen on the WAN
// interface, and the state of the machine. It guarantees that a counter that wraps, is reset or belongs to an
// interface that comes and goes never makes traffic that was not there, and that what a platform lacks is left
// out, never zero. It keeps nothing on disk: after a power cut it counts from the next reading on.
package sampler
