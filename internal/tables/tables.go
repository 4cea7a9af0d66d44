// Package tables describes tables and views as Glue's catalog has them and Athena
// reads them. It knows nothing of pipelines.
package tables

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
)

// Column is a column of a table or a view.
type Column struct {
	Name string
	Hive string // its type in the catalog, such as string or decimal(38,2)
	SQL  string // the same type in queries, such as varchar or decimal(38,2)
}

// Table is a table of Parquet files.
type Table struct {
	Name        string
	Description string
	Location    string // URI of the folder that all files lie in
	Columns     []Column
	Partitions  []Column
	Parameters  map[string]string
}

// View is a query under a name.
type View struct {
	Name        string
	Description string
	SQL         string
	Columns     []Column
	// Seq is the number of the version that the view is of: one of a lower number never
	// takes its place. 0: of none.
	Seq int64
}

// What the catalog says of every table of Parquet files.
const (
	ParquetInput  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
	ParquetOutput = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
	ParquetSerDe  = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
	ExternalTable = "EXTERNAL_TABLE"
)

// What the catalog says of every view of Athena's.
const (
	VirtualView  = "VIRTUAL_VIEW"
	ExpandedText = "/* Presto View */"
)

// The parameters of a view in the catalog that are Watershed's.
const (
	SeqParameter   = "watershed.version_seq" // View.Seq
	AboutParameter = "watershed.about"       // View.Description
)

// comment is what engines know a view by, in a parameter. The catalog's own
// description has to be the same: engines take it for that parameter, and do not find
// a view that has another one.
const comment = "Presto View"

// Comment is the description that a view has in the catalog.
func (View) Comment() string { return comment }

// Parameters gives the view's parameters in the catalog.
func (v View) Parameters() map[string]string {
	return map[string]string{
		"presto_view": "true", "comment": comment,
		SeqParameter: strconv.FormatInt(v.Seq, 10), AboutParameter: v.Description,
	}
}

// engine is the name under which Athena knows Glue's catalog.
const engine = "awsdatacatalog"

// MaxText is the longest text of a view that Glue stores.
const MaxText = 409_600

// Text gives the view as Athena stores it: the query and the types of its columns, in
// a comment. How that looks is not in AWS's documentation; Athena's own views and
// Trino's source say it. It is an error if the text is longer than MaxText.
//
// A view runs with the rights of who asks, as Athena's own do. Trino wants that said.
func (v View) Text(database string) (string, error) {
	type column struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	content := struct {
		OriginalSQL  string   `json:"originalSql"`
		Catalog      string   `json:"catalog"`
		Schema       string   `json:"schema"`
		Columns      []column `json:"columns"`
		RunAsInvoker bool     `json:"runAsInvoker"`
	}{OriginalSQL: v.SQL, Catalog: engine, Schema: database, RunAsInvoker: true}
	for _, c := range v.Columns {
		content.Columns = append(content.Columns, column{c.Name, c.SQL})
	}
	text, err := json.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("writing view %s: %w", v.Name, err)
	}
	out := "/* Presto View: " + base64.StdEncoding.EncodeToString(text) + " */"
	if len(out) > MaxText {
		return "", fmt.Errorf("writing view %s: it would take %d bytes, where the catalog takes %d", v.Name, len(out), MaxText)
	}
	return out, nil
}
