// Package twin sees that two machines work as one agent, as when a router's card was copied or a saved configuration was put on a second router.
//
// In: the headers of an agent's batches, as they come. Out: that two machines are at work, which, and since when. One machine's boots follow each other: a
// boot that has ended never seals a batch again. So where two boots each come back after the other, twice and within a while, there are two machines.
// Guarantees: reboots, backlogs however late, batches out of order and tests with a boot of their own are no twins; batches whose time is not certain are not
// looked at. It keeps a few hundred bytes an agent in memory, and nothing through a restart: twins are seen anew within minutes.
package twin
