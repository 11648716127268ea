package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Source is one of the two data sources that are provisioned.
type Source string

// The data sources, by their uid in Grafana.
const (
	Detail Source = "nabz-detail"
	Ledger Source = "nabz-ledger"
)

// object is a JSON object; its keys are sorted when it is written.
type object = map[string]any

// Dashboard is one of Grafana's.
type Dashboard struct {
	UID, Title, Description string
	From, To, Refresh       string
	TimeZone                string // "browser" or "utc"
	Variables               []Variable
	Panels                  []Panel
}

// Variable is what a person chooses at the top of a dashboard.
type Variable struct {
	Name, Label, Description string
	Query                    string // InfluxQL; for a constant its value
	Source                   Source // "" for one that is not asked for
	Kind                     string // query, constant, custom
	Regex                    string
	Multi, All               bool
	AllValue                 string // "" writes every value
	Hidden                   bool
}

// Panel is one picture of a dashboard.
type Panel struct {
	ID                       int
	Type, Title, Description string
	Source                   Source
	X, Y, W, H               int
	Interval                 string // the least of $__interval; "" leaves it to the data source
	Queries                  []Query
	Options                  object
	Defaults                 object // of each field
	Overrides                []any
	Transformations          []any
}

// Query is one question of a panel.
type Query struct {
	Ref, Text string
	Alias     string // names a series: $tag_site, $col
	Table     bool
}

func (s Source) ref() object { return object{"type": "influxdb", "uid": string(s)} }

// JSON is the dashboard as Grafana's files have it.
func (d Dashboard) JSON() ([]byte, error) {
	variables, panels := []any{}, []any{}
	for _, v := range d.Variables {
		variables = append(variables, v.object())
	}
	for _, p := range d.Panels {
		panels = append(panels, p.object())
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(object{
		"uid": d.UID, "title": d.Title, "description": d.Description, "tags": []string{"nabz"}, "editable": true, "graphTooltip": 1,
		"schemaVersion": 39, "refresh": d.Refresh, "timezone": d.TimeZone, "time": object{"from": d.From, "to": d.To},
		"links": []any{object{"title": "nabz", "type": "dashboards", "tags": []string{"nabz"}, "asDropdown": false, "includeVars": true, "keepTime": true,
			"targetBlank": false, "icon": "external link", "tooltip": "", "url": ""}},
		"annotations": object{"list": []any{}}, "templating": object{"list": variables}, "panels": panels,
	})
	if err != nil {
		return nil, fmt.Errorf("write dashboard %s: %w", d.UID, err)
	}
	return out.Bytes(), nil
}

func (v Variable) object() object {
	o := object{"name": v.Name, "label": v.Label, "type": v.Kind, "query": v.Query, "hide": 0, "skipUrlSync": false}
	if v.Description != "" {
		o["description"] = v.Description
	}
	if v.Hidden {
		o["hide"], o["skipUrlSync"] = 2, true
	}
	switch v.Kind {
	case "constant":
		o["skipUrlSync"] = true
		o["current"] = object{"text": v.Query, "value": v.Query}
		return o
	case "custom":
		first, _, _ := bytes.Cut([]byte(v.Query), []byte(","))
		o["current"] = object{"text": string(first), "value": string(first)}
		o["multi"], o["includeAll"] = false, false
		return o
	}
	o["datasource"], o["regex"] = v.Source.ref(), v.Regex
	o["refresh"], o["sort"], o["multi"], o["includeAll"], o["options"] = 1, 5, v.Multi, v.All, []any{}
	if v.All {
		o["current"] = object{"text": "All", "value": "$__all"}
		if v.Multi {
			o["current"] = object{"text": []string{"All"}, "value": []string{"$__all"}}
		}
	}
	if v.AllValue != "" {
		o["allValue"] = v.AllValue
	}
	return o
}

func (p Panel) object() object {
	targets := []any{}
	for _, q := range p.Queries {
		format := "time_series"
		if q.Table {
			format = "table"
		}
		t := object{"refId": q.Ref, "datasource": p.Source.ref(), "rawQuery": true, "query": q.Text, "resultFormat": format}
		if q.Alias != "" {
			t["alias"] = q.Alias
		}
		targets = append(targets, t)
	}
	overrides := p.Overrides
	if overrides == nil {
		overrides = []any{}
	}
	o := object{"id": p.ID, "type": p.Type, "title": p.Title, "description": p.Description, "datasource": p.Source.ref(), "targets": targets,
		"gridPos": object{"x": p.X, "y": p.Y, "w": p.W, "h": p.H}, "options": p.Options,
		"fieldConfig": object{"defaults": p.Defaults, "overrides": overrides}}
	if p.Interval != "" {
		o["interval"] = p.Interval
	}
	if p.Transformations != nil {
		o["transformations"] = p.Transformations
	}
	return o
}

// place gives panels their ids and their places: from left to right, and in a new row where they do not fit.
func place(panels []Panel) []Panel {
	x, y, row := 0, 0, 0
	for i := range panels {
		p := &panels[i]
		p.ID = i + 1
		if x+p.W > 24 {
			x, y, row = 0, y+row, 0
		}
		p.X, p.Y = x, y
		x, row = x+p.W, max(row, p.H)
	}
	return panels
}

// with is a copy of an object with more in it.
func with(o object, more object) object {
	out := maps.Clone(o)
	maps.Copy(out, more)
	return out
}

// DefaultBoard is where the panels' links lead when nobody has said where the board is.
const DefaultBoard = "http://127.0.0.1:8080"

// All are the dashboards, whose links lead to the board at that address; "" is DefaultBoard.
func All(board string) []Dashboard {
	if board == "" {
		board = DefaultBoard
	}
	constant := Variable{Name: "board", Label: "Board", Kind: "constant", Query: board, Hidden: true,
		Description: "Address of nabz's own board, which links lead to. nabz-collector dashboards install --board-url sets it."}
	all := []Dashboard{fleetDashboard(), siteDashboard(), programmeDashboard(), collectorDashboard()}
	for i := range all {
		all[i].Variables = slices.Insert(all[i].Variables, 0, constant)
	}
	return all
}

// File is the name of a dashboard's file.
func (d Dashboard) File() string { return d.UID + ".json" }
