// Package demo runs the main job on one machine: InfluxDB, collector, this machine's own agent and a fleet of
// simulated villages, each the real program as a child process.
//
// In: ports, a folder, the folder of the programs. Out: a board to look at, and one log for each child.
// Guarantees: nothing listens beyond 127.0.0.1, and when Run returns nothing that it started is left running.
// After a power cut the folder is whole enough for the next run to go on from it.
package demo
