package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

func TestWritesWaitForTheMomentThatInfluxDBNames(t *testing.T) {
	for _, tt := range []struct {
		name, header string
		named        bool
		pause        time.Duration
	}{
		{"seconds", "7", true, 7 * time.Second},
		{"nothing", "", false, 0},
		{"words", "soon", false, 0},
		{"a date", "Sat, 01 Jan 2000 00:00:12 GMT", true, 12 * time.Second}, // a bubble begins at that midnight
		{"a date that is past", "Fri, 31 Dec 1999 00:00:00 GMT", true, 0},
		{"a day", "86400", true, mostHold},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h hold
				began := time.Now()
				if got := h.set(tt.header); got != tt.named {
					t.Errorf("Retry-After %q names a time: %v, want %v", tt.header, got, tt.named)
				}
				if err := h.wait(context.Background()); err != nil || time.Since(began) != tt.pause {
					t.Errorf("waited %v (%v), want %v", time.Since(began), err, tt.pause)
				}
				if tt.pause == 0 {
					return
				}
				h.set(tt.header)
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				if tt.name == "a date" { // is past by now
					return
				}
				began = time.Now()
				if err := h.wait(ctx); !errors.Is(err, ErrBusy) || time.Since(began) != 0 {
					t.Errorf("with one second left: %v after %v, want ErrBusy at once", err, time.Since(began))
				}
			})
		})
	}
}

func TestABusyInfluxDBIsLeftAlone(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			var came atomic.Int64
			h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				came.Add(1)
				w.Header().Set("Retry-After", "120")
				w.WriteHeader(status)
			}))
			defer h.Close()
			s, err := Open(Config{URL: h.URL}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, tier := range tiers() { // the second is not sent: both go to one server
				err := s.Write(t.Context(), tier, []byte("m x=1i 1\n"))
				var refused *RefusedError
				if !errors.Is(err, ErrBusy) || errors.As(err, &refused) {
					t.Errorf("got %v, want ErrBusy and no refusal", err)
				}
			}
			if got := came.Load(); got != 1 {
				t.Errorf("%d requests came, want 1", got)
			}
			if err := s.Write(t.Context(), telemetry.Detail, nil); !errors.Is(err, ErrBusy) {
				t.Errorf("got %v", err)
			}
		})
	}
}
