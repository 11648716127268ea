package store_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

func TestAShortFaultCostsNoBatchAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		f := &fake{answer: func(string) error {
			if tries.Add(1) <= 4 {
				return errors.New("it answers 503")
			}
			return nil
		}}
		w := store.NewWriter(f, store.WriterOptions{Requests: 1})
		run(t, w)
		begun := time.Now()
		if v := submit(t, w, telemetry.Detail, []string{"a\n"})[0]; v.err != nil || v.refused != nil {
			t.Errorf("got %+v, want stored at the fifth try", v)
		}
		// 250 ms, 500 ms, 1 s and 2 s, each down to its half.
		if took := time.Since(begun); took < 1875*time.Millisecond || took > 3900*time.Millisecond {
			t.Errorf("five tries took %v, want 1.9 s to 3.9 s", took)
		}
		if w.Held() != nil {
			t.Errorf("held after a success: %v", w.Held())
		}
	})
}

func TestALastingFaultShutsTheGateUntilATryGoesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		var well atomic.Bool
		gone := errors.New("connection refused")
		f := &fake{answer: func(string) error {
			tries.Add(1)
			if well.Load() {
				return nil
			}
			return gone
		}}
		w := store.NewWriter(f, store.WriterOptions{})
		run(t, w)
		begun := time.Now()
		if v := submit(t, w, telemetry.Detail, []string{"a\n"})[0]; !errors.Is(v.err, gone) {
			t.Errorf("got %+v, want the fault", v)
		}
		if took := time.Since(begun); took > 11*time.Second {
			t.Errorf("the batch waited %v for a verdict, want no longer than the writer's patience", took)
		}
		if !errors.Is(w.Held(), gone) {
			t.Errorf("held by %v, want %v: the collector has to take no more in", w.Held(), gone)
		}
		before := tries.Load()
		for n := range 600 { // a batch every 100 ms for a minute
			if v := submit(t, w, telemetry.Detail, []string{fmt.Sprintf("%d\n", n)})[0]; !errors.Is(v.err, gone) {
				t.Fatalf("got %+v, want the fault", v)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := tries.Load() - before; n < 4 || n > 20 {
			t.Errorf("InfluxDB was asked %d times in a minute, want 4 to 20: neither hammered nor forgotten", n)
		}
		well.Store(true)
		time.Sleep(15 * time.Second)
		if w.Held() != nil {
			t.Errorf("held by %v, want room for a try", w.Held())
		}
		for _, v := range submit(t, w, telemetry.Detail, []string{"b\n", "c\n", "d\n"}) {
			if v.err != nil {
				t.Errorf("got %+v after InfluxDB was well again, want stored", v)
			}
		}
	})
}

func TestWhatSomebodyHasToMendIsNotTriedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		f := &fake{answer: func(string) error { tries.Add(1); return fmt.Errorf("write: %w", store.ErrUnauthorized) }}
		w := store.NewWriter(f, store.WriterOptions{})
		run(t, w)
		begun := time.Now()
		if v := submit(t, w, telemetry.Ledger, []string{"a\n"})[0]; !errors.Is(v.err, store.ErrUnauthorized) {
			t.Errorf("got %+v, want ErrUnauthorized", v)
		}
		if took := time.Since(begun); tries.Load() != 1 || took > time.Second {
			t.Errorf("%d tries in %v, want one", tries.Load(), took)
		}
		if w.Held() != nil {
			t.Errorf("detail is held by %v, though only the ledger was refused", w.Held())
		}
	})
}

// While one request tries, the others wait for what it finds instead of being turned away.
func TestWhoComesDuringATryWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(string) error { return errors.New("gone") }}
		w := store.NewWriter(f, store.WriterOptions{Patience: 1, Lines: 1})
		run(t, w)
		submit(t, w, telemetry.Detail, []string{"a\n"})
		time.Sleep(2 * time.Second)
		f.answer, f.hold = nil, make(chan struct{})
		time.AfterFunc(time.Second, func() { close(f.hold) })
		for n, v := range submit(t, w, telemetry.Detail, []string{"b\n", "c\n", "d\n", "e\n"}) {
			if v.err != nil {
				t.Errorf("batch %d: %v, want stored", n, v.err)
			}
		}
	})
}

func TestInfluxDBsWordsPartTheLinesWithoutASearch(t *testing.T) {
	s := real(t, influxd.ForTest(t), nil)
	at := noon.UnixMilli()
	if err := s.Write(t.Context(), telemetry.Detail, fmt.Appendf(nil, "m x=1i %d\n", at)); err != nil {
		t.Fatal(err)
	}
	requests := 0
	w := store.NewWriter(s, store.WriterOptions{Requests: 1, Observe: func(telemetry.Tier, int, int, time.Duration, error) { requests++ }})
	run(t, w)
	var text []byte
	const lines = 1000
	for n := range int64(lines) { // every other line has another type, as two versions of a sender would have it
		if n%2 == 0 {
			text = fmt.Appendf(text, "m,n=a x=%di %d\n", n, at+n)
		} else {
			text = fmt.Appendf(text, "m,n=a x=%d.5 %d\n", n, at+n)
		}
	}
	v := submit(t, w, telemetry.Detail, []string{string(text)})[0]
	if v.err != nil || len(v.refused) != lines/2 {
		t.Fatalf("%d refused (%v), want %d", len(v.refused), v.err, lines/2)
	}
	for n, r := range v.refused {
		if r.Index != 2*n+1 {
			t.Fatalf("refused %d is line %d, want %d", n, r.Index, 2*n+1)
		}
	}
	if requests != 3 {
		t.Errorf("%d requests, want 3: all, the good, the bad", requests)
	}
	got, err := s.Query(t.Context(), telemetry.Detail, "SELECT count(x) FROM m WHERE n='a'")
	if err != nil || fmt.Sprint(got[0].Values[0][1]) != fmt.Sprint(lines/2) {
		t.Errorf("stored %v (%v), want %d", got, err, lines/2)
	}
}

func TestABatchMadeToBeABurdenTakesNoMoreThanItsTries(t *testing.T) {
	requests := 0
	f := &fake{answer: func(text string) error {
		requests++
		return &store.RefusedError{Words: "no", Dropped: 1}
	}}
	w := store.NewWriter(f, store.WriterOptions{})
	run(t, w)
	var text []byte
	for n := range 20_000 {
		text = fmt.Appendf(text, "m x=%d\n", n)
	}
	if v := submit(t, w, telemetry.Detail, []string{string(text)})[0]; v.err != nil || len(v.refused) != 20_000 || requests > 250 {
		t.Errorf("%d refused (%v) in %d requests, want all in 250 at most", len(v.refused), v.err, requests)
	}
}

func TestARefusalThatIsNotInfluxDBsOwnSaysNothingAboutTheLines(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a proxy that wants TLS": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, "<h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port")
		},
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "500")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"partial write: field type conf`)
			panic(http.ErrAbortHandler)
		},
	} {
		s := httptest.NewServer(h)
		err := open(t, store.Config{URL: s.URL}).Write(t.Context(), telemetry.Detail, []byte("m x=1i 1\n"))
		s.Close()
		var refused *store.RefusedError
		if err == nil || errors.As(err, &refused) {
			t.Errorf("%s: got %v, want trouble and no refusal", name, err)
		}
	}
}
