// Package spool keeps sealed batches until the collector says that it has stored them: on flash, or in RAM with a flush now and then.
//
// In: batches from the sealer, numbered without reuse, and the seq of each acknowledged batch. Out: the oldest
// batches that still wait, ledger before detail, with exactly the bytes that were put in.
//
// # What survives
//
// A batch whose Put has returned survives kill -9 and a power cut, but for those that Options allow to wait in RAM: detail (and ledger,
// with LedgerToo) for FlushEvery, or everything while the folder takes nothing. An acknowledged batch can come back after a power
// cut, because acknowledgements are not synced: lines are immutable, so that is harmless, and rare. Seqs and sessions are never given
// out twice: those of batches in RAM are reserved on flash ahead, and a cut skips what is left of the reserve. While the folder cannot be
// written, the reserve (512 seqs at least) and then Options.Fresh keep them rising.
//
// Size is bounded, RAM and flash together: when full, the oldest detail goes first, then the oldest ledger, and the loss is counted.
//
// # Faults
//
// A torn tail is cut off, a damaged record skipped, an unreadable file left alone, the file of a newer program set aside under another
// name until that program is back. On a full, read-only or failing disk Put says what to do, or goes on in RAM with
// OrRAM. Findings tells each of these once.
//
// # Files
//
// Each tier has a chain of segment files, named by the tier and the first seq inside (detail-00000000000004d2.seg). A
// segment is a header and then frames, each a 32-byte header with its own CRC-32C and the payload's. A batch and
// its acknowledgement live in the same segment, so that deleting the file loses nothing that another file needs.
// Numbers are big-endian. The file "state" holds what must outlive all segments: the next seq, the next session,
// and the mark. testdata/v1 is what version 1 of the format looks like; it stays readable.
package spool
