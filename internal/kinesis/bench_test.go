package kinesis_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkPutRecords sends calls of 500 small events over HTTP, to the disk.
//
//	go test ./internal/kinesis -run '^$' -bench PutRecords
func BenchmarkPutRecords(b *testing.B) {
	e := serve(b, options{})
	var body strings.Builder
	body.WriteString(`{"StreamName":"sales","Records":[`)
	for i := range 500 {
		if i > 0 {
			body.WriteString(",")
		}
		event := fmt.Sprintf(`{"zipcode":95126,"ProductName":"product%d","price":16,"timestamp":"2014-11-01 19:35:41.158"}`, i)
		fmt.Fprintf(&body, `{"Data":"%s","PartitionKey":"%d"}`, base64.StdEncoding.EncodeToString([]byte(event)), i*7919)
	}
	body.WriteString("]}")
	text := body.String()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.SetBytes(int64(len(text)))
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			r, err := http.NewRequest(http.MethodPost, e.url, strings.NewReader(text))
			if err != nil {
				b.Error(err)
				return
			}
			r.Header.Set("Content-Type", jsonType)
			r.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecords")
			res, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				b.Errorf("status %s", res.Status)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "records/s")
}
