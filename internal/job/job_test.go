package job_test

import (
	"os"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/job"
)

// The texts that a driver of another release or in another language reads and
// writes stay what they are.
func TestTheTextsAreWhatTheyWere(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(text []byte) ([]byte, error){
		"testdata/job.json": func(text []byte) ([]byte, error) {
			j, err := job.Parse(text)
			if err != nil {
				return nil, err
			}
			return j.Text()
		},
		"testdata/result.json": func(text []byte) ([]byte, error) {
			r, err := job.ParseResult(text)
			if err != nil {
				return nil, err
			}
			return r.Text()
		},
	} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again(text); err != nil || string(got) != string(text) {
			t.Errorf("%s read and written again is (%v)\n%s\nwant\n%s", name, err, got, text)
		}
	}
}

// A job without anything to read has empty lists, which every language can go over.
func TestNoListIsNull(t *testing.T) {
	t.Parallel()
	j := job.Job{Format: job.Format, Pipeline: "p", Generation: "g", Run: "r", Version: "v", Figures: "SELECT 1", Result: "s3://b/k", Views: []job.View{{Name: "v", Query: "SELECT 1", Output: "s3://b/v/"}}}
	text, err := j.Text()
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("got %v, %s", err, text)
	}
}

// What one side would pass over is refused: it would be a wrong answer.
func TestTextsAreReadStrictly(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range []struct{ name, file, old, new, want string }{
		{"another format", "job.json", `"format":1`, `"format":2`, "format 2"},
		{"a key of another release", "job.json", `"rows":`, `"since":3,"rows":`, "since"},
		{"two jobs", "job.json", "}\n", "}\n{}", "more than one"},
		{"a path for a file", "job.json", "s3://master/master", "/master", "object"},
		{"a folder for a file", "job.json", "part-1.parquet", "", "object"},
		{"no version", "job.json", `"version":"v00000001-ABCDEFGHIJ"`, `"version":""`, "version is empty"},
		{"a type of another engine", "job.json", `"type":"bigint"`, `"type":"HUGEINT"`, "HUGEINT"},
		{"the folder of another view", "job.json", `/sales_by_product/"`, `/other/"`, "folder"},
		{"figures as floats", "job.json", `"count":"12"`, `"count":12.5`, "unquoted"},
		{"a checksum of more than 64 bits", "job.json", `"hi":"18446744073709551615"`, `"hi":"18446744073709551616"`, "hi"},
		{"another format", "result.json", `"format":1`, `"format":0`, "format 0"},
		{"views that do not balance", "result.json", `"balanced":true`, `"balanced":false`, "balance"},
		{"a file outside of the view's folder", "result.json", "sales_by_product/3f1c", "../part", "below"},
		{"a file outside by a detour", "result.json", "sales_by_product/3f1c", "sales_by_product/../part", "below"},
		{"a file twice", "result.json", `[{"name":"sales_by_product/3f1c/part-00000-x.parquet","rows":12}`,
			`[{"name":"sales_by_product/3f1c/part-00000-x.parquet","rows":12},{"name":"sales_by_product/3f1c/part-00000-x.parquet","rows":12}`, "once"},
		{"rows less than none", "result.json", `"rows":12`, `"rows":-1`, "-1 rows"},
	} {
		t.Run(c.file+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			text := []byte(strings.Replace(read(c.file), c.old, c.new, 1))
			_, err := job.Parse(text)
			if c.file == "result.json" {
				_, err = job.ParseResult(text)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	bucket, key, err := job.Place("s3://bucket/a/b c.parquet")
	if err != nil || bucket != "bucket" || key != "a/b c.parquet" {
		t.Errorf("got %q, %q, %v", bucket, key, err)
	}
	for _, bad := range []string{"", "bucket/key", "s3://", "s3://bucket", "s3://bucket/", "s3:///key"} {
		if _, _, err := job.Place(bad); err == nil {
			t.Errorf("%q is a place", bad)
		}
	}
}
