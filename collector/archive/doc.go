// Package archive keeps published reports, each revision for ever, and the links by which they are shared.
//
// In: a report as JSON bytes, with its id, its title, and who publishes it. Out: the same bytes years later, with their SHA-256 and what each revision
// changed against the one before; links that let whoever has one read one report, until somebody revokes them.
// Guarantees: what is published is never written over, and is handed out only while its bytes have the hash that they were published with. Several
// processes may publish, share and revoke at once. A kill or a power cut at any instant leaves a revision whole or not at all.
// It knows nothing of what a report says.
package archive
