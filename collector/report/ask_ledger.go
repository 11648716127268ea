package report

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// query asks the ledger.
func (m *maker) query(ctx context.Context, q string) ([]store.Series, error) {
	series, err := m.q.Query(ctx, telemetry.Ledger, q)
	if err != nil {
		return nil, fmt.Errorf("read the ledger of %s: %w", m.asked.Period, err)
	}
	return series, nil
}

// where chooses sites and a stretch of time.
func where(sites []string, from, to int64) string {
	return fmt.Sprintf("time >= %dms AND time < %dms AND (%s)", from, to, which(sites))
}

// which chooses sites. InfluxDB looks an expression up in its index of series; of as many terms with OR it looks at each for each series.
func which(sites []string) string {
	return `"site" =~ /^(` + strings.Join(sites, "|") + `)$/`
}

// integer is a whole number of a row; 0 where it is missing.
func integer(s store.Series, row []any, column int) (int64, error) {
	if row[column] == nil {
		return 0, nil
	}
	n, ok := row[column].(json.Number)
	if !ok {
		return 0, fmt.Errorf("%s of %s holds %v, not a number", s.Columns[column], s.Name, row[column])
	}
	v, err := n.Int64()
	if err != nil {
		return 0, fmt.Errorf("%s of %s: %w", s.Columns[column], s.Name, err)
	}
	return v, nil
}

// number is a number of a row, where there is one.
func number(row []any, column int) (float64, bool) {
	n, ok := row[column].(json.Number)
	if !ok {
		return 0, false
	}
	v, err := n.Float64()
	return v, err == nil
}
