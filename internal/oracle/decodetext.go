package oracle

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/watershed-data/watershed/internal/definition"
)

// plain is the text of a csv or tsv field, which every type is read from.
type plain string

// decodeText reads one record of csv or tsv: the fields that are not empty, by
// their names. What is wrong is given as the reason that users see.
func decodeText(e definition.Events, data []byte) (object map[string]any, reason string) {
	if !utf8.Valid(data) {
		return nil, "invalid UTF-8"
	}
	record, ended := strings.CutSuffix(string(data), "\n")
	if ended {
		record = strings.TrimSuffix(record, "\r")
	}
	if record == "" {
		return nil, "empty"
	}
	fields, broken := csv, "not CSV"
	if e.Format == "tsv" {
		fields, broken = tsv, "not TSV"
	}
	texts, ok := fields(record)
	switch {
	case !ok:
		return nil, broken
	case len(texts) != len(e.Fields):
		return nil, "wrong number of fields"
	}
	object = map[string]any{}
	for i, name := range e.Fields {
		if texts[i] != "" {
			object[name] = plain(texts[i])
		}
	}
	return object, ""
}

// csvField is a field in quotes or one without, and what ends it.
var csvField = regexp.MustCompile(`^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|$)`)

func csv(record string) (texts []string, ok bool) {
	for {
		m := csvField.FindStringSubmatch(record)
		if m == nil {
			return nil, false
		}
		texts = append(texts, strings.ReplaceAll(m[1], `""`, `"`)+m[2])
		if m[3] == "" {
			return texts, true
		}
		record = record[len(m[0]):]
	}
}

var (
	tsvField   = regexp.MustCompile(`^(?:[^\\\r\n]|\\[tnr\\])*$`)
	tsvEscapes = strings.NewReplacer(`\t`, "\t", `\n`, "\n", `\r`, "\r", `\\`, `\`)
)

func tsv(record string) (texts []string, ok bool) {
	for field := range strings.SplitSeq(record, "\t") {
		switch {
		case field == `\N`:
			field = ""
		case !tsvField.MatchString(field):
			return nil, false
		}
		texts = append(texts, tsvEscapes.Replace(field))
	}
	return texts, true
}
