// Command bench is what the bench-… targets of the Makefile run: it measures the built programs and prints figures.
//
// In: what to measure ("wire", "agent", "collector", "board", "report"), how long, where the programs are. Out: figures on stdout, progress on stderr.
// For an agent it needs root, because it works in network namespaces of its own, and says so where it is not; for a collector it starts itself anew as
// what stands around that. Nothing outlives it but what the go command keeps in its cache.
package main
