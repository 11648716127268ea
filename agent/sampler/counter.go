package sampler

import "math"

// counters are what an interface has counted since it came up.
type counters struct {
	rxBytes, txBytes, rxPackets, txPackets, errs, drops uint64
}

// maxPacket is the most bytes that count as one packet: a segment that the card has put together from many.
const maxPacket = 64 << 10

// since is what was counted between before and now. An interface that counts from zero again, because a modem
// rebooted, gives what it has counted since: less than the truth by what passed between the last reading and the
// reset, and never more.
func (now counters) since(before counters) counters {
	rxBytes, rxPackets, ok1 := direction(before.rxBytes, now.rxBytes, before.rxPackets, now.rxPackets)
	txBytes, txPackets, ok2 := direction(before.txBytes, now.txBytes, before.txPackets, now.txPackets)
	if !ok1 || !ok2 {
		return now // one direction was reset, so the other was too, even where it has overtaken its old count already
	}
	return counters{rxBytes, txBytes, rxPackets, txPackets, upward(before.errs, now.errs), upward(before.drops, now.drops)}
}

// direction tells bytes and packets of one direction, or that the counters were reset. A counter that is smaller
// than before has wrapped, at 32 or 64 bits, when the other one of its pair says so: packets went on, and as many
// as the bytes need.
func direction(bytes0, bytes1, packets0, packets1 uint64) (bytes, packets uint64, ok bool) {
	if bytes1 < bytes0 && packets1 < packets0 {
		return 0, 0, false // both wrap in the same ten seconds once in the life of a universe
	}
	bytes, packets = wrapped(bytes0, bytes1), wrapped(packets0, packets1)
	if bytes1 < bytes0 && (packets > math.MaxUint64/maxPacket || bytes > packets*maxPacket) {
		return 0, 0, false
	}
	if packets1 < packets0 && packets > bytes { // no packet is smaller than a byte
		return 0, 0, false
	}
	return bytes, packets, true
}

// wrapped is the way from before to now, around the end of 32 or 64 bits where now is the smaller.
func wrapped(before, now uint64) uint64 {
	if now < before && before <= math.MaxUint32 {
		return uint64(uint32(now) - uint32(before))
	}
	return now - before
}

// upward is the way from before to now of a rare count: smaller than before means that it began anew.
func upward(before, now uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

func (c *counters) add(o counters) {
	c.rxBytes += o.rxBytes
	c.txBytes += o.txBytes
	c.rxPackets += o.rxPackets
	c.txPackets += o.txPackets
	c.errs += o.errs
	c.drops += o.drops
}
