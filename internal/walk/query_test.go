package walk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// client keeps no connection, so that no goroutine is left behind.
var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get returns status and body; 0 when nobody answers.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// values asks InfluxDB for one field of one agent's lines, in order of time.
func values(t *testing.T, st *store.Store, tier telemetry.Tier, measurement, field string, a telemetry.Address) (out []any) {
	t.Helper()
	series, err := st.Query(context.Background(), tier, fmt.Sprintf(`SELECT %q FROM %q WHERE site='%s' AND agent='%s'`, field, measurement, a.Site, a.Agent))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range series {
		for _, row := range s.Values {
			out = append(out, row[1])
		}
	}
	return out
}

func column(t *testing.T, st *store.Store, tier telemetry.Tier, measurement, field string, a telemetry.Address) (out []int64) {
	t.Helper()
	for _, v := range values(t, st, tier, measurement, field, a) {
		n, err := v.(json.Number).Int64()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

func texts(t *testing.T, st *store.Store, tier telemetry.Tier, measurement, field string, a telemetry.Address) (out []string) {
	t.Helper()
	for _, v := range values(t, st, tier, measurement, field, a) {
		out = append(out, v.(string))
	}
	return out
}

// compare holds one sequence against another and tells where they part.
func compare[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s: element %d is %v, want %v (%d stored, %d produced)", what, i, got[i], want[i], len(got), len(want))
			return
		}
	}
	t.Errorf("%s: %d stored, %d produced, alike as far as they go", what, len(got), len(want))
}
