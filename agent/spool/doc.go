// Package spool keeps sealed batches on flash until the collector says that it has stored them.
//
// In: batches from the sealer, numbered without reuse, and the seq of each acknowledged batch. Out: the oldest
// batches that still wait, ledger before detail, with exactly the bytes that were put in.
// A batch whose Put has returned survives kill -9 and a power cut. An acknowledged batch can come back after a
// power cut, because acknowledgements are not synced: lines are immutable, so that is harmless, and rare.
// Size is bounded: when full, the oldest detail goes first, then the oldest ledger, and the loss is counted.
//
// # Files
//
// Each tier has a chain of segment files, named by the tier and the first seq inside (detail-00000000000004d2.seg). A
// segment is a header and then frames, each a 32-byte header with its own CRC-32C and the payload's. A batch and
// its acknowledgement live in the same segment, so that deleting the file loses nothing that another file needs.
// Numbers are big-endian. The file "state" holds what must outlive all segments: the next seq, the next session,
// and the mark.
package spool
