package store

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/smartvillage/nabz/internal/influxd"
)

// 2.7 finds a bucket by its own name without a mapping, so a second name stands for a bucket of a 2.x that does not.
func TestAMappingLeadsInfluxQLToABucket(t *testing.T) {
	db := influxd.TwoForTest(t)
	s, err := Open(Config{URL: db.URL, Token: db.Token, Org: db.Org}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := s.bucket(t.Context(), "nabz")
	if err != nil {
		t.Fatal(err)
	}
	b.Name = "pulse"
	if err := s.answers(t.Context(), "pulse"); !errors.Is(err, ErrNoBucket) {
		t.Fatalf("before: got %v, want ErrNoBucket", err)
	}
	if err := s.makeMapping(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := s.answers(t.Context(), "pulse"); err != nil {
		t.Errorf("after: %v", err)
	}
	if err := s.makeMapping(t.Context(), b); err == nil {
		t.Error("a second mapping of the same name was made")
	}
}
