package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/smartvillage/nabz/telemetry"
)

// Series is one series of an answer. The column "time", where there is one, is in milliseconds; every number is
// a json.Number, a missing value is nil.
type Series struct {
	Name    string            `json:"name"`
	Tags    map[string]string `json:"tags"`
	Columns []string          `json:"columns"`
	Values  [][]any           `json:"values"`
	Partial bool              `json:"partial,omitempty"` // always false: a part is an error
}

// Query asks one tier's bucket in InfluxQL. The answer is whole or an error: never cut off in silence.
func (s *Store) Query(ctx context.Context, tier telemetry.Tier, influxQL string) ([]Series, error) {
	series, err := s.query(ctx, s.buckets[tier], influxQL)
	if err != nil {
		return nil, fmt.Errorf("query %s of InfluxDB at %s: %w", s.buckets[tier], s.c.URL, err)
	}
	return series, nil
}

func (s *Store) query(ctx context.Context, database, q string) ([]Series, error) {
	form := url.Values{"q": {q}, "epoch": {"ms"}}
	if database != "" {
		form.Set("db", database)
	}
	req, err := s.request(ctx, http.MethodPost, "/query", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden {
		_, said := decode(res)
		return nil, fmt.Errorf("%w (%d: %.300v)", ErrUnauthorized, res.StatusCode, said)
	}
	return decode(res)
}

func decode(res *http.Response) ([]Series, error) {
	var answer struct {
		Error   string
		Message string // of 2.x
		Results []struct {
			Error   string
			Partial bool
			Series  []Series
		}
	}
	d := json.NewDecoder(res.Body)
	d.UseNumber()
	if err := d.Decode(&answer); err != nil {
		return nil, fmt.Errorf("read the answer (%s): %w", res.Status, err)
	}
	_, _ = io.Copy(io.Discard, res.Body) // the newline behind it, so that the connection is used again
	switch {
	case answer.Error != "":
		return nil, errors.New(answer.Error)
	case res.StatusCode/100 != 2:
		return nil, fmt.Errorf("it answers %s: %s", res.Status, answer.Message)
	}
	var out []Series
	for _, r := range answer.Results {
		if strings.HasPrefix(r.Error, "database not found") {
			return nil, fmt.Errorf("%w (%s)", ErrNoBucket, r.Error)
		}
		if r.Error != "" {
			return nil, errors.New(r.Error)
		}
		for _, one := range r.Series {
			if r.Partial || one.Partial {
				return nil, fmt.Errorf("the server has cut it off (max-row-limit): %w", ErrTooLarge)
			}
			out = append(out, one)
		}
	}
	return out, nil
}
