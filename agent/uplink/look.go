package uplink

import (
	"slices"
	"time"
)

// look asks the kernel what has arrived and how fast.
func (m *meter) look(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookLocked(now)
}

func (m *meter) lookLocked(now time.Time) {
	if m.raw == nil {
		return
	}
	written := m.written.Load() // before: what is written meanwhile may be acknowledged as well
	t, ok := readTCP(m.raw, m.ipHeader)
	if !ok {
		return // closed
	}
	before := m.last
	m.last = t
	m.total.Add(t.extra - before.extra)
	acked, at := t.acked-m.base.acked, now.Add(-t.lastAck)
	progress := acked > m.acked
	m.acked = acked
	if progress && at.After(m.waiting) {
		m.waiting = at
	}
	if acked >= written {
		m.waiting = time.Time{}
	}
	if m.proxied {
		return // it tells of the way to the proxy
	}
	if progress {
		if at.After(m.alive) {
			m.alive = at
		}
		if m.judged && !m.local {
			m.path.seen(at)
		}
	}
	if m.local || !m.judged {
		return
	}
	trip := t.sample(before)
	// A broker that has just talked with us delays its TCP's acknowledgements by up to 40 ms, in the hope of more to say, until one was
	// delayed in vain. Such a sample is left out: an answer was measured meanwhile, or the next segment will be.
	if m.left = 0; m.tripCounted || m.chat > 0 {
		m.left, trip = trip, 0
	}
	if m.tripCounted = false; m.chat > 0 && t.delivered != before.delivered {
		m.chat--
	}
	m.path.counted(int(t.dataOut-before.dataOut), t.lost(before), trip)
}

// watch looks at bytes that wait, when it is time, and tells when the next time is (zero: nothing waits) and whether the link has just
// come into doubt.
func (m *meter) watch(now time.Time) (next time.Time, doubt bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.waiting.IsZero() && !now.Before(m.check) {
		m.lookLocked(now)
		if age, patience := now.Sub(m.waiting), m.patience(); age < patience {
			m.check = m.waiting.Add(patience)
		} else if !m.waiting.IsZero() {
			doubt, m.doubted = !m.doubted, true
			m.check = now.Add(min(max(age, patience), maxLook))
		}
	}
	if m.waiting.IsZero() {
		return time.Time{}, false
	}
	return m.check, doubt
}

// pending tells since when bytes wait; zero: none.
func (m *meter) pending() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting
}

// sign is the last sign of life of the far end.
func (m *meter) sign() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.alive
}

// silentAfter is the silence after which bytes went out that were never acknowledged; zero: none wait.
func (m *meter) silentAfter() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting.IsZero() || !m.alive.Before(m.waiting) {
		return 0
	}
	return m.quiet
}

// answered notes a round trip of an MQTT question, and judges by the last few whether a proxy speaks for the broker. quality is false
// where the broker worked on the answer. It tells whether the judgement has changed.
func (m *meter) answered(now time.Time, trip time.Duration, quality bool) (changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trips[m.answers%len(m.trips)] = trip
	m.answers++
	if m.raw != nil {
		m.lookLocked(now)
		if m.answers >= proxyTrips {
			changed = m.judge()
		}
	}
	if m.local {
		return changed
	}
	m.path.seen(now)
	switch {
	case !quality:
	case m.raw == nil || m.proxied:
		m.tripCounted = true
		m.path.counted(1, 0, trip)
	default: // the kernel tells of the link and has counted its segment: a broker with much to do is not taken for a slow link
		m.path.counted(0, 0, m.left)
		m.left = 0
	}
	return changed
}

// judge tells whether it has changed its mind.
func (m *meter) judge() bool {
	best := slices.Min(m.trips[:min(m.answers, len(m.trips))])
	proxied := m.last.minRtt > 0 && best > proxyTimes*m.last.minRtt+proxyBeyond
	if first := !m.judged; first && !proxied && !m.local {
		m.path.counted(1, 0, m.base.rtt) // the SYN asked, too; those that it repeated tell of the time when nobody was there
	}
	changed := proxied != m.proxied
	m.judged, m.proxied = true, proxied
	return changed
}

// unanswered notes a question that was given up.
func (m *meter) unanswered() {
	if !m.local && !m.told() {
		m.path.counted(1, 1, 0)
	}
}
