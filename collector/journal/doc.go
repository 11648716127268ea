// Package journal keeps what operators write down of the villages: comments, acknowledgements, maintenance windows, commands.
//
// In: entries from the board. Out: what was said of a site, the newest first; whether a site is in maintenance at an instant, and
// why; who has acknowledged its trouble. Guarantees: an entry that was answered without an error is on the disk and survives a
// power cut at any byte; a torn tail is cut off, a bad line is skipped and told, and neither takes its neighbours along. The file
// is bounded: at 16 MiB, and at each start, what is older than a year goes, then the oldest; a window that is not over stays.
// One process owns the file.
package journal
