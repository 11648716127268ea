// Command bench is what the bench-… targets of the Makefile run: it measures the built programs and prints figures.
//
// In: what to measure ("wire", "agent"), how long, where the programs are. Out: figures on stdout, progress on stderr.
// It needs root, because it works in network namespaces of its own, and says so where it is not. Nothing outlives it but
// what the go command keeps in its cache.
package main
