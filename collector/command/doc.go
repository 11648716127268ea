// Package command carries what operators ask of agents that are there now, and what became of it.
//
// In: who asks which agent for what, from the pages; results, from the broker. Out: commands to the broker, again until they are answered or have
// expired; the state of each, for the pages; a line in the audit log when it is asked and when it has ended.
// Guarantees: nothing is sent to an agent that is not enrolled and connected, beyond its rates, or before the audit log has it. A result counts
// only from the agent that was asked. Bounded: 20 commands a site, 1,000 in all. Commands survive kill -9 and a power cut in one file of JSON lines,
// and one that is under way then goes on: the agent knows it by its id and does not begin it twice.
package command
