# Makes the agent's second configuration file, in TOML, of UCI's: awk -v file=NAME -v zeros=COUNT -f uci.awk NAME, where COUNT is of zero bytes,
# which awks read in different ways
#
# Status 0, and the text, which is empty where nothing is set; 3, and the text, where the agent shall not run; 1, and each fault on standard
# error as FILE:LINE: what and what to do; 4, and the faults, where it shall not run. It takes what UCI takes, but refuses what UCI would pass over in silence. Needs LC_ALL=C.

BEGIN {
	# Every key and its kind. Made from the agent's configuration by go test ./packaging/openwrt -update.
	# keys begin
	table = table " agent.site=text"
	table = table " agent.agent=text"
	table = table " agent.profile=text"
	table = table " agent.brokers=list"
	table = table " agent.secret_file=text"
	table = table " agent.ca_file=text"
	table = table " agent.data_dir=text"
	table = table " agent.spool_max_bytes=whole"
	table = table " agent.spool_flush_every=length"
	table = table " agent.detail_every=length"
	table = table " agent.report_every=length"
	table = table " agent.monthly_mb=number"
	table = table " agent.mark_every=length"
	table = table " agent.resume_wait=length"
	table = table " agent.time_zone=text"
	table = table " agent.log_level=text"
	table = table " time.servers=list"
	table = table " time.trust_system=switch"
	table = table " uplink.keepalive=length"
	table = table " uplink.ack_within=length"
	table = table " uplink.ack_timeout=length"
	table = table " uplink.max_backoff=length"
	table = table " uplink.window=whole"
	table = table " uplink.backlog_max_kbps=whole"
	table = table " probe.every=length"
	table = table " probe.sample_every=length"
	table = table " probe.method=text"
	table = table " probe.count=whole"
	table = table " probe.confirm=whole"
	table = table " probe.timeout=length"
	table = table " probe.tcp_port=whole"
	table = table " probe.anchors=list"
	table = table " probe.gateway=text"
	table = table " probe.interface=text"
	table = table " probe.dns_name=text"
	table = table " probe.dns_timeout=length"
	table = table " probe.dns_every=length"
	table = table " probe.extra_per_hour=whole"
	table = table " probe.loss_pct=number"
	table = table " probe.median_rtt=length"
	table = table " probe.wan_evidence=text"
	table = table " sampler.interfaces=list"
	table = table " speedtest.server=text"
	table = table " speedtest.open_server=switch"
	table = table " speedtest.per_day=number"
	table = table " speedtest.window=text"
	table = table " speedtest.monthly_mb=number"
	table = table " speedtest.test_mb=number"
	table = table " speedtest.busy_share=number"
	table = table " agent.service_every=length"
	table = table " service.name=text"
	table = table " service.endpoint=text"
	table = table " service.hours=text"
	table = table " service.time_zone=text"
	table = table " service.min_down_kbps=whole"
	table = table " service.min_up_kbps=whole"
	table = table " service.max_rtt_ms=number"
	table = table " service.max_jitter_ms=number"
	table = table " service.max_loss_pct=number"
	table = table " commands.allow=list"
	# keys end
	split(table, row, " ")
	for (i = 1; i in row; i++) {
		split(row[i], part, "=")
		kind[part[1]] = part[2]
		split(part[1], part, ".")
		if (!(part[1] in sections)) types = types " " part[1]
		sections[part[1]] = 1
		options[part[1]] = options[part[1]] " " part[2]
	}
	kind["agent.enabled"] = "switch"
	options["agent"] = options["agent"] " enabled"
	for (i = 1; i < 128; i++) code[sprintf("%c", i)] = i
	words = 0; word = ""; begun = 0; plain = 1; quote = ""; more = 0
}

{
	read_line($0)
}

END {
	if (quote != "") fault("the quote that begins here never ends; close it")
	else if (more) { more = 0; end_word(); statement() }
	if (zeros > 0) fault("zero bytes are in the file; write it anew")
	if (bad) exit disabled ? 4 : 1
	write_all()
	exit disabled ? 3 : 0
}

# read_line takes one line apart. Quotes, and a backslash at the end, go on in the next.
function read_line(s,   i, c, n) {
	if (quote == "" && !more) at = NR
	more = 0
	n = length(s)
	for (i = 1; i <= n; i++) {
		c = substr(s, i, 1)
		if (c == "\\" && quote != "'" && (i == n || i == n - 1 && substr(s, n) == "\r")) { more = 1; break }
		if (quote == "'") {
			if (c == quote) quote = ""
			else word = word c
		} else if (quote == "\"") {
			if (c == quote) quote = ""
			else if (c == "\\") word = word substr(s, ++i, 1)
			else word = word c
		} else if (c == " " || c == "\t" || c == "\r" || c == "\v" || c == "\f") end_word()
		else if (c == "#") break
		else if (c == ";") { fault("a semicolon; write what is behind it in a line of its own, or put the value in quotes"); break }
		else if (c == "'" || c == "\"") { quote = c; begun = 1; plain = 0 }
		else if (c == "\\") { word = word substr(s, ++i, 1); begun = 1; plain = 0 }
		else { word = word c; begun = 1 }
	}
	if (more) return
	if (quote != "") { word = word "\n"; return }
	end_word()
	statement()
}

function end_word() {
	if (begun) { said[++words] = word; if (words == 1) first_plain = plain }
	word = ""; begun = 0; plain = 1
}

function statement(   n) {
	n = words
	words = 0
	if (n == 0) return
	if (!first_plain) fault("\"" said[1] "\" is no word of UCI's here; write config, option or list without quotes")
	else if (said[1] == "config" || said[1] == "c") section(n)
	else if (said[1] == "option" || said[1] == "o") option(n, 0)
	else if (said[1] == "list" || said[1] == "l") option(n, 1)
	else if (said[1] == "package" || said[1] == "p") { if (n != 2 || said[2] != "nabz-agent") fault("this file is of package nabz-agent; delete the line") }
	else fault("\"" said[1] "\" is no word of UCI's; write config, option or list")
}

function section(n,   type, name) {
	type = said[2]
	name = n > 2 ? said[3] : ""
	now = ""
	skip = 1 # the options of a section at fault are not looked at
	if (n < 2) return fault("config without a type; write: config probe 'probe'")
	if (n > 3) return fault("more than a type and a name; write: config " type " 'name'")
	if (name != "" && name !~ /^[A-Za-z0-9_]+$/) return fault("\"" name "\" cannot be the name of a section; use a-z, 0-9 and _")
	if (!(type in sections)) return fault("unknown section \"" type "\"; " hint(type, types))
	if (name != "" && name in named) return fault("a second section \"" name "\", the first is in line " named[name] "; put both into one")
	if (type != "service" && type in once) return fault("a second section of type \"" type "\", the first is in line " once[type] "; put both into one")
	if (name != "") named[name] = at
	once[type] = at
	skip = 0
	now = type
	if (type == "service") { now = "service" ++services; head[now] = at }
	of = type
}

function option(n, list,   name, value, k, id) {
	if (skip) return
	if (now == "") return fault(said[1] " before the first section; write: config agent 'agent' above it")
	name = said[2]
	if (n < 2) return fault(said[1] " without a name; write: " said[1] " name 'value'")
	if (!((of "." name) in kind)) return fault("unknown option \"" name "\" in section " of "; " hint(name, options[of]))
	if (n > 3) return fault("more than one value of " name "; put it in quotes")
	value = n > 2 ? said[3] : ""
	if (value == "") return fault(name " is empty, which UCI would leave out; write '-' for nothing, or delete the line")
	k = kind[of "." name]
	id = now "." name
	if (k == "list" && !list) return fault(name " is a list; write, once for each value: list " name " '" value "'")
	if (k != "list" && list) return fault(name " takes one value; write: option " name " '" value "'")
	if (id in set && (!list || value == "-" || set[id] == "-")) return fault(list ? "'-' is the empty list; delete it, or the other values of " name : name " stands in line " line[id] " already; delete one")
	if (of "." name == "agent.enabled") { set[id] = 1; line[id] = at; disabled = truth(value) == "false"; if (truth(value) == "") wrong(name, value, "write 1 or 0"); return }
	if (list) {
		if (!(id in lists)) { line[id] = at; order[++keys] = id; lists[id] = 1 }
		set[id] = value == "-" ? "-" : (set[id] == "" ? "" : set[id] ", ") text(value)
		return
	}
	line[id] = at
	order[++keys] = id
	set[id] = typed(k, name, value)
}

# typed is a value as TOML writes it.
function typed(k, name, value) {
	if (k == "text") return value == "-" ? "\"\"" : text(value)
	if (k == "length") {
		if (value !~ /^[-+]?(0|([0-9]+[.]?[0-9]*(ns|us|ms|s|m|h))+)$/) wrong(name, value, "write a length of time with its unit, such as 60s, 5m or 1h30m")
		return text(value)
	}
	if (k == "switch") {
		if (truth(value) == "") wrong(name, value, "write 1 or 0")
		return truth(value)
	}
	if (k == "whole") {
		if (value !~ /^-?(0|[1-9][0-9]*)$/ || length(value) > 18) wrong(name, value, "write a whole number")
		return value
	}
	if (value !~ /^-?(0|[1-9][0-9]*)([.][0-9]+)?$/ || length(value) > 18) wrong(name, value, "write a number, such as 15 or 0.5")
	return value
}

function truth(v) {
	if (v == "1" || v == "on" || v == "true" || v == "yes" || v == "enabled") return "true"
	return v == "0" || v == "off" || v == "false" || v == "no" || v == "disabled" ? "false" : ""
}

function text(s,   i, c, t) {
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		if (c == "\\" || c == "\"") t = t "\\" c
		else if (c == "\n") t = t "\\n"
		else if (c in code && (code[c] < 32 || code[c] == 127)) t = t sprintf("\\u%04X", code[c])
		else t = t c
	}
	return "\"" t "\""
}

function write_all(   i, n, a) {
	if (keys == 0 && services == 0) return
	print "# Made of " file " by /etc/init.d/nabz-agent, anew at each start: change it there, not here."
	print "# The number behind a key is its line there."
	write_section("agent", "")
	n = split(types, a, " ")
	for (i = 1; i <= n; i++) if (a[i] != "agent" && a[i] != "service") write_section(a[i], "[" a[i] "]")
	for (i = 1; i <= services; i++) write_section("service" i, "[[service]] # " head["service" i])
}

function write_section(name, header,   i, id, value) {
	if (name in head) { print header; header = "" }
	for (i = 1; i <= keys; i++) {
		id = order[i]
		if (index(id, name ".") != 1) continue
		if (header != "") { print header; header = "" }
		value = set[id]
		if (id in lists) value = "[" (value == "-" ? "" : value) "]"
		print substr(id, length(name) + 2) " = " value " # " line[id]
	}
}

# hint is the name that was most likely meant, or all that there are.
function hint(got, names,   n, i, a, d, best, least) {
	least = int(length(got) / 3)
	least = (least < 1 ? 1 : least) + 1
	n = split(names, a, " ")
	for (i = 1; i <= n; i++) if ((d = edits(tolower(got), a[i])) < least) { best = a[i]; least = d }
	if (best != "") return "did you mean \"" best "\"?"
	gsub(/^ /, "", names)
	gsub(/ /, ", ", names)
	return "known here: " names
}

# edits counts the letters to add, drop, change or swap with their neighbour to turn a into b.
function edits(a, b,   i, j, m, n, x, d) {
	m = length(a); n = length(b)
	for (i = 0; i <= m; i++) d[i, 0] = i
	for (j = 0; j <= n; j++) d[0, j] = j
	for (i = 1; i <= m; i++) for (j = 1; j <= n; j++) {
		x = d[i - 1, j - 1] + (substr(a, i, 1) != substr(b, j, 1))
		if (d[i - 1, j] + 1 < x) x = d[i - 1, j] + 1
		if (d[i, j - 1] + 1 < x) x = d[i, j - 1] + 1
		if (i > 1 && j > 1 && substr(a, i, 1) == substr(b, j - 1, 1) && substr(a, i - 1, 1) == substr(b, j, 1) && d[i - 2, j - 2] + 1 < x) x = d[i - 2, j - 2] + 1
		d[i, j] = x
	}
	return d[m, n]
}

function wrong(name, value, todo) { fault(name ": \"" value "\" is not right; " todo) }

function fault(what) {
	gsub(/\n/, " ", what)
	print file ":" at ": " what > "/dev/stderr"
	bad = 1
}
