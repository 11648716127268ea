package bench

import (
	"fmt"
	"io"
)

// Figure is one measured number. Limit 0 means that it has no budget; with Least the budget is what it has to reach.
type Figure struct {
	Name  string
	Value float64
	Unit  string
	Limit float64
	Least bool
}

// OK tells whether the figure keeps its budget; one without a budget does.
func (f Figure) OK() bool {
	return f.Limit == 0 || !f.Least && f.Value <= f.Limit || f.Least && f.Value >= f.Limit
}

// String is the line that people and scripts read: "figure NAME VALUE UNIT budget LIMIT ok|over".
func (f Figure) String() string {
	s := fmt.Sprintf("figure %s %s %s", f.Name, number(f.Value), f.Unit)
	if f.Limit == 0 {
		return s
	}
	word := "over"
	if f.OK() {
		word = "ok"
	}
	return fmt.Sprintf("%s budget %s %s", s, number(f.Limit), word)
}

// Print writes each figure on a line of its own.
func Print(w io.Writer, figures []Figure) error {
	for _, f := range figures {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return err
		}
	}
	return nil
}

// number shows whole numbers whole, and others with what decides beside a budget.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v < 1:
		return fmt.Sprintf("%.4f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
