package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/smartvillage/nabz/telemetry/pack"
)

// training is how a dictionary is found. Its result depends on these values alone.
type training struct {
	id       uint32
	size     int // of the dictionary's text, at most
	samples  int // of each share of each kind
	tries    int // whole batches looked at for each that is taken
	mutation int // rounds of small changes
	log      io.Writer
}

// sampled makes so many batches of each kind for each of its shares.
func sampled(n int, seed uint64, ks []kind) (out [][]byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	for range n {
		for _, k := range ks {
			for range k.share {
				out = append(out, batch(k, r))
			}
		}
	}
	return out
}

// train finds a text with which samples are best written: first whole batches, each the one that saves most, and then lines of it are
// exchanged, added, moved and taken away for as long as that saves something.
func (t training) train() ([]byte, error) {
	samples := sampled(t.samples, 1, kinds())
	r := rand.New(rand.NewPCG(2, uint64(t.size)))
	text, best, err := t.gather(r, samples)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(t.log, "%d bytes of batches: %.1f bytes a sample\n", len(text), float64(best)/float64(len(samples)))
	for n := range t.mutation {
		if text, best, err = t.change(r, text, best, samples); err != nil {
			return nil, err
		}
		if (n+1)%100 == 0 {
			fmt.Fprintf(t.log, "%d rounds: %d bytes, %.1f bytes a sample\n", n+1, len(text), float64(best)/float64(len(samples)))
		}
	}
	return pack.Build(t.id, text, sampled(8*t.samples, 3, kinds()))
}

// draw makes a batch of any kind.
func draw(r *rand.Rand) []byte {
	n := 0
	for _, k := range kinds() {
		n += k.share
	}
	at := r.IntN(n)
	for _, k := range kinds() {
		if at -= k.share; at < 0 {
			return batch(k, r)
		}
	}
	panic("shares do not add up")
}

// gather puts batches together until the text is long enough, each the one of several that saves most for its length.
func (t training) gather(r *rand.Rand, samples [][]byte) (text []byte, best int, err error) {
	best = 1 << 60
	for len(text) < t.size {
		var drafts [][]byte
		for range t.tries {
			drafts = append(drafts, slices.Concat(draw(r), text))
		}
		cost, err := t.costs(drafts, samples)
		if err != nil {
			return nil, 0, err
		}
		saves := func(i int) float64 { return float64(best-cost[i]) / float64(len(drafts[i])-len(text)) }
		k := 0
		for i := range cost {
			if saves(i) > saves(k) {
				k = i
			}
		}
		if cost[k] >= best {
			break
		}
		text, best = drafts[k], cost[k]
	}
	return text, best, nil
}

// change tries a few small changes, and takes the first that saves something.
func (t training) change(r *rand.Rand, text []byte, best int, samples [][]byte) ([]byte, int, error) {
	drafts := [][]byte{}
	for range 4 { // on any number of processors
		drafts = append(drafts, mutate(r, text, draw(r)))
	}
	cost, err := t.costs(drafts, samples)
	if err != nil {
		return nil, 0, err
	}
	for i, d := range drafts {
		limit := best
		if len(text) > t.size && len(d) < len(text) {
			limit += (len(text) - len(d)) * best / len(text) / 12 // too long: what goes may cost something
		}
		if cost[i] < limit && (len(d) <= t.size || len(d) <= len(text)) {
			return d, cost[i], nil
		}
	}
	return text, best, nil
}

// mutate changes a line of the text.
func mutate(r *rand.Rand, text, batch []byte) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	news := bytes.SplitAfter(batch, []byte("\n"))
	lines, news = lines[:len(lines)-1], news[:len(news)-1]
	at, line := r.IntN(len(lines)), news[r.IntN(len(news))]
	switch r.IntN(6) {
	case 0:
		lines = slices.Delete(lines, at, at+1)
	case 1: // another of its kind
		name := func(l []byte) string { m, _, _ := bytes.Cut(l, []byte(" ")); return string(m) }
		for _, l := range news {
			if name(l) == name(lines[at]) {
				lines[at] = l
			}
		}
	case 2:
		lines = slices.Insert(lines, at, line)
	case 3:
		to := r.IntN(len(lines))
		l := lines[at]
		lines = slices.Insert(slices.Delete(lines, at, at+1), to, l)
	case 4: // a part goes
		l := lines[at]
		if a, b := r.IntN(len(l)), r.IntN(len(l)); a < b {
			lines[at] = slices.Concat(l[:a], l[b:])
		}
	case 5: // a batch for a line
		lines = slices.Replace(lines, at, at+1, news...)
	}
	return bytes.Join(lines, nil)
}

// costs is how many bytes the samples take with a dictionary of each text.
func (t training) costs(texts, samples [][]byte) ([]int, error) {
	out, errs := make([]int, len(texts)), make([]error, len(texts))
	var g sync.WaitGroup
	for i, text := range texts {
		g.Go(func() {
			b, err := pack.Build(t.id, text, samples[:len(samples)/3]) // enough for the tables while texts are compared
			if err != nil {
				errs[i] = err
				return
			}
			d, err := pack.Open(b)
			if err != nil {
				errs[i] = err
				return
			}
			p := pack.New(d)
			var buf []byte
			for _, s := range samples {
				buf = p.Append(buf[:0], s)
				out[i] += len(buf)
			}
		})
	}
	g.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
