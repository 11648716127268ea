// Package machine is a Debian machine for a test: a root of its own, and real systemd in it where that is wanted.
//
// In: a name, packages, files, commands, cables to other machines. Out: what they answer, and what systemd and its journal say.
// It guarantees that nothing of it reaches the host (no mount, interface, name, setting, clock, device) and that nothing is left of it,
// even when the test is killed. The root is made once by debootstrap, kept in the cache folder and never written to again;
// what a machine writes is in memory and ends with it. It needs root on linux; without, the test is skipped by name.
package machine
