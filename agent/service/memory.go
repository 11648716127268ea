package service

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// A memory is what a power cut would take: the sums of the hour that is running, and of the one before until it is settled. It rides in
// the agent's mark on flash each minute, so it is small: 6 bytes, and about 10 for each service that is open.
const (
	memoryVersion = 1
	maxParts      = 4 * maxServices
	hourMs        = 3_600_000
)

// Memory packs what Open would tell at at, behind dst. Nothing to tell is nothing to pack.
func (m *Monitor) Memory(dst []byte, at time.Time) []byte {
	lines := m.Open(at)
	if len(lines) == 0 || len(lines) > maxParts {
		return dst
	}
	dst = append(dst, memoryVersion)
	dst = binary.BigEndian.AppendUint32(dst, m.names())
	before := int64(0)
	for _, l := range lines {
		index := 0
		for m.specs[index].Name != l.GetTag("service") {
			index++
		}
		ready, _ := l.GetInt("ready_ms")
		window, _ := l.GetInt("window_ms")
		dst = append(dst, byte(index))
		dst = binary.AppendVarint(dst, l.Time-before)
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(window)), uint64(window-ready))
		before = l.Time
	}
	return dst
}

// Recall returns the lines that Memory packed in the run before; false when they cannot be told, because the services are others now or
// the bytes are not Memory's. No bytes are no lines.
func (m *Monitor) Recall(b []byte) (lines []*telemetry.Line, ok bool) {
	if len(b) == 0 {
		return nil, true
	}
	if len(b) < 5 || b[0] != memoryVersion || binary.BigEndian.Uint32(b[1:]) != m.names() {
		return nil, false
	}
	at := int64(0)
	for b = b[5:]; len(b) > 0; {
		index := int(b[0])
		step, n1 := binary.Varint(b[1:])
		if n1 <= 0 || index >= len(m.specs) || len(lines) == maxParts {
			return nil, false
		}
		window, n2 := binary.Uvarint(b[1+n1:])
		if n2 <= 0 {
			return nil, false
		}
		lost, n3 := binary.Uvarint(b[1+n1+n2:])
		if at += step; n3 <= 0 || window == 0 || window > hourMs || lost > window || at < 0 || at > 1<<52 {
			return nil, false
		}
		lines = append(lines, telemetry.NewLine("hour_service", time.UnixMilli(at)).Tag("service", m.specs[index].Name).
			Int("ready_ms", int64(window-lost)).Int("window_ms", int64(window)))
		b = b[1+n1+n2+n3:]
	}
	return lines, true
}

// After says that the time up to at was told by the run before: nothing is covered that lies before it.
func (m *Monitor) After(at time.Time) {
	if at = wall(at); at.After(m.floor) {
		m.floor = at
	}
}

// names is a sum of the services' names, in order.
func (m *Monitor) names() (sum uint32) {
	for _, s := range m.specs {
		sum = crc32.Update(sum, crc32.IEEETable, append([]byte(s.Name), 0))
	}
	return sum
}
