package dashboards

import (
	"fmt"
	"strings"
)

// Pieces of InfluxQL. $site are sites by id, or all; $scope those of the districts and operators that were chosen, or all. An agent's own lines are
// chosen by $agent too, where a dashboard has that.

const (
	ofSites  = `"site" =~ /^$site$/ AND "site" =~ /^(${scope:pipe})$/`
	ofAgents = `"site" =~ /^$site$/ AND "agent" =~ /^$agent$/`
	inRange  = `$timeFilter`
	// inSpans leaves out what begins at the very end of the range, which Grafana's filter takes in: a range that ends on the hour has no hour too many.
	inSpans = inRange + ` AND time < ${__to}ms`
	// chosen is how many sites are chosen. Where there is no site yet $count is nothing at all, and this nought.
	chosen = `0$count`
	// periodMs is the length of the dashboard's time range, in ms.
	periodMs = `($__to - $__from)`
)

// sitesNow are the last lines of the sites, with these of their fields. A site that left the sites file has listed = 0. The line is written once a day
// at least, so that a week finds it even where no collector has run for some days.
func sitesNow(where string, fields ...string) string {
	columns := []string{`last("listed") AS "listed"`}
	for _, f := range fields {
		columns = append(columns, quoted(f))
	}
	if where != "" {
		where = " AND " + where
	}
	return `(SELECT ` + strings.Join(columns, ", ") + ` FROM "site" WHERE time > now() - 7d` + where + ` GROUP BY "site")`
}

func quoted(name string) string { return `"` + name + `"` }

// aboutSites is a query for what the sites file says of the chosen sites, a row a site. Fields are pairs of a field and its heading.
func aboutSites(fields ...string) string {
	var columns, names []string
	for i := 0; i+1 < len(fields); i += 2 {
		names = append(names, fields[i])
		columns = append(columns, quoted(fields[i])+" AS "+quoted(fields[i+1]))
	}
	return `SELECT "listed", ` + strings.Join(columns, ", ") + ` FROM ` + sitesNow(ofSites, names...) + ` WHERE "listed" = 1 GROUP BY "site"`
}

// statesNow are the states that the board shows now, a row a site. What was not told for eleven minutes is not known.
const statesNow = `SELECT last("code") AS "code" FROM "state" WHERE ` + ofSites + ` AND time > now() - 11m GROUP BY "site"`

// sitesInState counts the sites that are in a state now.
func sitesInState(code int) string {
	return fmt.Sprintf(`SELECT count("code") AS "sites" FROM (%s) WHERE "code" = %d`, statesNow, code)
}

// Which spans count as what: up, observed, power cuts, switched off by choice.
const (
	isUp      = `"state" =~ /^(up|degraded)$/`
	isDown    = `"state" = 'down'`
	isPower   = `("state" = 'off' AND "cause" = 'power')`
	isStopped = `("state" = 'off' AND "cause" = 'shutdown')`
)

// times are the spans of the range with four sums to make of them: up, seen (observed), power, off (by choice), all in ms. InfluxQL has no
// "if", so each kind of span is a subquery of its own, with nought in the other columns. The innermost sums by series are InfluxDB's quick way.
func times(who, group string) string {
	kind := func(where string, up, seen, power, off int) string {
		return fmt.Sprintf(`(SELECT "s" * %d AS "up", "s" * %d AS "seen", "s" * %d AS "power", "s" * %d AS "off" FROM (SELECT sum("ms") AS "s" FROM "span" WHERE %s AND %s AND %s%s)%s)`,
			up, seen, power, off, who, where, inSpans, by(group), tagsOnly(group))
	}
	return strings.Join([]string{kind(isUp, 1, 1, 0, 0), kind(isDown, 0, 1, 0, 0), kind(isPower, 0, 1, 1, 0), kind(isStopped, 0, 0, 0, 1)}, ", ")
}

// tagsOnly groups by a tag; time is kept by each row anyway.
func tagsOnly(group string) string {
	if strings.HasPrefix(group, "time(") {
		return ""
	}
	return by(group)
}

// by is GROUP BY, where there is something to group by.
func by(group string) string {
	if group == "" {
		return ""
	}
	return " GROUP BY " + group
}

// The figures of docs/design.md over times. $count sites were to be there for the whole range; ×100 makes percent.
const (
	availability = `100 * sum("up") / sum("seen")`
	withoutPower = `100 * sum("up") / (sum("seen") - sum("power"))`
)

// ofService is a share of the time in which the sites were to be in service.
func ofService(part, sites string) string {
	return fmt.Sprintf(`100 * %s / (%s * %s - sum("off"))`, part, sites, periodMs)
}

// completeness is what was observed of the time in service; lower and upper are the bounds.
func completeness(sites string) string { return ofService(`sum("seen")`, sites) }
func lower(sites string) string        { return ofService(`sum("up")`, sites) }
func upper(sites string) string {
	return ofService(fmt.Sprintf(`(sum("up") + %s * %s - sum("off") - sum("seen"))`, sites, periodMs), sites)
}

// figures selects such figures over times; pairs of a figure and its heading.
func figures(who, group string, pairs ...string) string {
	var columns []string
	for i := 0; i+1 < len(pairs); i += 2 {
		columns = append(columns, pairs[i]+" AS "+quoted(pairs[i+1]))
	}
	return `SELECT ` + strings.Join(columns, ", ") + ` FROM ` + times(who, group) + ` WHERE ` + inRange + by(group)
}

// The variables that dashboards share. Districts and operators are not tags of any series: they are those of the last line of each site, so that a
// site that moved is in its new district alone.
func chooseDistrict() Variable {
	return Variable{Name: "district", Label: "District", Kind: "query", Source: Detail, Multi: true, All: true, AllValue: ".*",
		Query: `SELECT DISTINCT("district") AS "district" FROM ` + sitesNow("", "district") + ` WHERE "listed" = 1 AND "district" != ''`}
}

func chooseOperator() Variable {
	return Variable{Name: "operator", Label: "Operator", Kind: "query", Source: Detail, Multi: true, All: true, AllValue: ".*",
		Query: `SELECT DISTINCT("operator") AS "operator" FROM ` + sitesNow("", "district", "operator") + ` WHERE "listed" = 1 AND "operator" != '' AND "district" =~ /^$district$/`}
}

// chooseSite shows the names of the sites in those districts and of those operators, and chooses ids.
func chooseSite(several bool) Variable {
	v := Variable{Name: "site", Label: "Site", Kind: "query", Source: Detail, Multi: several, All: several,
		Regex: `/^(?<text>(?:.* \()?(?<value>[a-z0-9][a-z0-9-]*)\)?)$/`, Query: `SELECT "label" FROM ` + chosenSites("label")}
	if several {
		v.AllValue = ".*"
	}
	return v
}

func chosenSites(field string) string {
	return sitesNow("", field, "district", "operator") + ` WHERE "listed" = 1 AND "district" =~ /^$district$/ AND "operator" =~ /^$operator$/`
}

// scope is which sites the districts and operators leave: no series has these as tags, so that the sites have to be named one by one. Where neither
// was chosen it is ".*", as an expression with the names of 5,000 sites would cost InfluxDB twenty times the work of a query. Choice is such as
// "*;*;gokina;.*": an asterisk is matched by a district or an operator only when that is ".*", which stands for all; then the last part is taken, else the id.
func scope() Variable {
	return Variable{Name: "scope", Label: "Scope", Kind: "query", Source: Detail, Multi: true, All: true, Hidden: true,
		Description: "Which sites the chosen districts and operators leave.",
		Regex:       `/^(?:(?=$district;$operator;)[^;]*;[^;]*;[^;]*;|(?!$district;$operator;)[^;]*;[^;]*;)(?<value>[^;]+)/`, Query: `SELECT "choice" FROM ` + chosenSites("choice")}
}

// countSites is how many sites are chosen.
func countSites() Variable {
	return Variable{Name: "count", Label: "Sites", Kind: "query", Source: Detail, Hidden: true,
		Query: `SELECT count("listed") FROM ` + sitesNow(ofSites) + ` WHERE "listed" = 1`}
}
