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
func sampled(n int, seed uint64, ks ...kind) (out [][]byte) {
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

// train finds a text of which samples are best written: first whole batches, each the one that saves most, and then lines of it are
// exchanged, added, moved and taken away for as long as that saves something.
func (t training) train() ([]byte, error) {
	samples := sampled(t.samples, 1, kinds()...)
	r := rand.New(rand.NewPCG(2, uint64(t.size)))
	draw := func() []byte {
		ks := kinds()
		n := 0
		for _, k := range ks {
			n += k.share
		}
		at := r.IntN(n)
		for _, k := range ks {
			if at -= k.share; at < 0 {
				return batch(k, r)
			}
		}
		return nil
	}
	var text []byte
	best := 1 << 60
	for len(text) < t.size {
		var drafts [][]byte
		for range t.tries {
			drafts = append(drafts, slices.Concat(draw(), text))
		}
		cost, err := t.costs(drafts, samples)
		if err != nil {
			return nil, err
		}
		k := 0
		for i := range cost {
			if gain, most := float64(best-cost[i])/float64(len(drafts[i])-len(text)), float64(best-cost[k])/float64(len(drafts[k])-len(text)); gain > most {
				k = i
			}
		}
		if cost[k] >= best {
			break
		}
		text, best = drafts[k], cost[k]
	}
	fmt.Fprintf(t.log, "%d bytes of batches: %.1f bytes a sample\n", len(text), float64(best)/float64(len(samples)))
	for n := range t.mutation {
		drafts := [][]byte{}
		for range 4 { // of which the first that is better is taken, on any number of processors
			drafts = append(drafts, mutate(r, text, draw()))
		}
		cost, err := t.costs(drafts, samples)
		if err != nil {
			return nil, err
		}
		for i, d := range drafts {
			limit := best
			if len(text) > t.size && len(d) < len(text) {
				limit += (len(text) - len(d)) * best / len(text) / 12 // too long: what goes may cost something
			}
			if cost[i] < limit && (len(d) <= t.size || len(d) <= len(text)) {
				text, best = d, cost[i]
				break
			}
		}
		if (n+1)%100 == 0 {
			fmt.Fprintf(t.log, "%d rounds: %d bytes, %.1f bytes a sample\n", n+1, len(text), float64(best)/float64(len(samples)))
		}
	}
	return pack.Build(t.id, text, sampled(8*t.samples, 3, kinds()...))
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
