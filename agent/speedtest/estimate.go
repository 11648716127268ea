package speedtest

import "time"

// The rule for stopping early. A throughput is the mean over the second half of the test so far: the first half, in which TCP finds its rate
// and a shaper's burst passes, is left out, as regulators leave out a warm-up. It is stable when it has stayed within 5 % for 2 s, and the test
// has taken 3 s at least. BenchmarkEarlyStop shows what this saves and how far it is off.
const (
	sampleEvery  = 250 * time.Millisecond
	stableAfter  = 3 * time.Second
	stableFor    = 2 * time.Second
	stableWithin = 1.05
	// leastTime is what a throughput must rest on; a test that was cut shorter has none.
	leastTime = time.Second
	// maxSamples is the longest that a test may take, in samples.
	maxSamples = int(testMax/sampleEvery) + 1
)

// estimate is the throughput of one direction, from a running count of bytes.
type estimate struct {
	n     int
	at    [maxSamples + 1]time.Duration // since the beginning
	bytes [maxSamples + 1]int64
	rate  [maxSamples + 1]float64 // as it was estimated then, bit/s
	last  time.Duration
	count int64
}

// add takes a count; one each 250 ms is kept.
func (e *estimate) add(at time.Duration, bytes int64) {
	if at < e.last || bytes < e.count {
		return
	}
	e.last, e.count = at, bytes
	if at < e.at[e.n]+sampleEvery || e.n == maxSamples {
		return
	}
	e.n++ // sample 0 is the beginning
	e.at[e.n], e.bytes[e.n] = at, bytes
	e.rate[e.n] = e.now()
}

// now is the rate over the second half of the time so far, in bit/s.
func (e *estimate) now() float64 {
	i := 0
	for i < e.n && e.at[i+1] <= e.last/2 {
		i++
	}
	took := e.last - e.at[i]
	if took <= 0 {
		return 0
	}
	return float64(e.count-e.bytes[i]) * 8 / took.Seconds()
}

// result is the throughput in bit/s; 0: there is none.
func (e *estimate) result() int64 {
	if e.last < leastTime || e.count == 0 {
		return 0
	}
	return int64(e.now())
}

// stable tells whether more bytes would not change much.
func (e *estimate) stable() bool {
	if e.n == 0 || e.at[e.n] < stableAfter {
		return false
	}
	lo, hi := e.rate[e.n], e.rate[e.n]
	i := e.n
	for ; i > 0 && e.at[e.n]-e.at[i] < stableFor; i-- {
		lo, hi = min(lo, e.rate[i]), max(hi, e.rate[i])
	}
	lo, hi = min(lo, e.rate[i]), max(hi, e.rate[i])
	return lo > 0 && hi <= lo*stableWithin
}
