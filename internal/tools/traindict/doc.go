// Command traindict trains the dictionary with which agents seal their batches, and prints how many bytes batches take with it.
//
// In: the file to write, and the number of the dictionary. Out: the dictionary, in zstd's format.
// It guarantees that the same program with the same arguments writes the same bytes: batches are drawn from a fixed seed. The file is
// written at the end, in one step; one that exists is never changed, because agents in the field seal with it.
package main
