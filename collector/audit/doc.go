// Package audit keeps who did what, when, from where, and how it ended.
//
// In: entries, from the collector and from its commands, which may run at the same time. Out: two files of one JSON object a line, done.jsonl, and
// refused.jsonl for what was not let through, so that a storm of guesses cannot push out what was done.
// Guarantees: Record returns when the entry is on the disk, and it survives a power cut from then on; a line that a power cut tore does not take
// its neighbours along. Lines are only ever appended; each file goes to an older name at 4 MiB, and eight older ones are kept.
package audit
