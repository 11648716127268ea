package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"unsafe"

	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"

	"github.com/smartvillage/nabz/telemetry"
)

// RefusedError says that InfluxDB will never store a line of the request, or all of them: a field that has
// another type there, a time beyond the retention. What else was in the request may be stored or not.
type RefusedError struct {
	Words   string // InfluxDB's own
	Dropped int    // how many lines it says it refused; 0 where it does not say
}

// Error is InfluxDB's own words.
func (e *RefusedError) Error() string { return "InfluxDB refuses it: " + e.Words }

// dropped is the count at the end; 2.7 says behind it which bucket that was about.
var dropped = regexp.MustCompile(`dropped=(\d+)(?: for database: \S+ for retention policy: \S+)?$`)

// Write sends lines, each ended by a newline, stamped, in milliseconds. They must never be changed afterwards: a request that was given up may still read them. Nil means that InfluxDB has answered that it
// has them all. Else a *RefusedError, or an error with ErrUnauthorized, or one that says nothing about the lines:
// the same lines may be written again later. Where InfluxDB has said when, with Retry-After, Write waits for that
// moment; where it is too far off, it returns an error with ErrBusy and sends nothing.
func (s *Store) Write(ctx context.Context, tier telemetry.Tier, lines []byte) error {
	if _, ok := s.writers[tier]; !ok {
		return fmt.Errorf("write to InfluxDB: no bucket for %s", tier)
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	err := s.hold.wait(ctx)
	if err == nil {
		err = s.write(ctx, tier, lines)
	}
	if errors.Is(err, errGone) { // someone dropped the bucket: make it again, for the next try
		if err := s.Ensure(ctx); err != nil {
			return err
		}
	}
	var refused *RefusedError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("write to InfluxDB at %s: %w", s.c.URL, err)
}

// errGone is in the error of a write to a bucket that is not there.
var errGone = errors.New("it answers 404")

// write sends one request.
func (s *Store) write(ctx context.Context, tier telemetry.Tier, lines []byte) error {
	// The client wants text, and a copy would be a megabyte for each request. Nobody writes into lines afterwards.
	err := s.writers[tier].WriteRecord(ctx, unsafe.String(unsafe.SliceData(lines), len(lines)))
	if err == nil {
		return nil
	}
	var answer *influxhttp.Error
	if !errors.As(err, &answer) || answer.StatusCode == 0 {
		return err
	}
	said := words(answer)
	if strings.Contains(said, "provide either orgID or org") { // a 400 that says nothing about the lines
		return ErrNoOrg
	}
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		if !ofInfluxDB(answer) {
			break
		}
		r := &RefusedError{Words: said}
		if m := dropped.FindStringSubmatch(said); m != nil {
			r.Dropped, _ = strconv.Atoi(m[1])
		}
		return r
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w (%d: %s)", ErrUnauthorized, answer.StatusCode, said)
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s", errGone, said)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if s.hold.set(answer.Header.Get("Retry-After")) {
			return fmt.Errorf("%w (%d: %s)", ErrBusy, answer.StatusCode, said)
		}
	}
	return fmt.Errorf("it answers %d: %s", answer.StatusCode, said)
}

// words is what the server said, on one line and cut to what a person reads.
func words(e *influxhttp.Error) string {
	w := e.Message
	if w == "" {
		w = e.Header.Get("X-Influxdb-Error")
	}
	if w == "" {
		w = e.Error()
	}
	w = strings.Join(strings.Fields(strings.ToValidUTF8(w, "?")), " ")
	const most = 600
	if len(w) > most { // the count at the end matters too
		w = strings.ToValidUTF8(w[:most/2], "") + " … " + strings.ToValidUTF8(w[len(w)-most/2:], "")
	}
	return w
}
