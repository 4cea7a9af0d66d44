package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/kinesis"
)

const (
	minToken         = 16 // characters
	defaultListen    = "127.0.0.1:4580"
	defaultRetention = 24 * time.Hour // Kinesis's
	leastRetention   = time.Minute
	shutdownTimeout  = 30 * time.Second // for requests under way when the command is told to stop
)

func newRunCommand() *cobra.Command {
	var o layerOptions
	var listen string
	cmd := &cobra.Command{
		Use:   "run FILE --data DIR",
		Short: "Run a pipeline: all layers in one process, durable in DIR",
		Long: `Runs the pipeline of FILE: a Kinesis-compatible endpoint that takes events, the
archive that keeps them, the batch layer, the speed layer and the API that
answers from both. Everything is kept in DIR; an event whose put was
acknowledged survives any crash.

FILE may have been changed since DIR was made. If it decides other answers now,
everything is recomputed from the raw events beside what answers, and takes its
place when it is complete; status tells how far it is. "watershed check --against"
says before whether that is so.

When it is ready it prints one line. SIGTERM or Ctrl-C stops it: it takes no more
events, applies what it has taken, and ends.

Off loopback it listens only with a token in WATERSHED_TOKEN: clients then send
it as "Authorization: Bearer TOKEN", and Kinesis clients sign with the access key
id "` + kinesis.AccessKeyID + `" and the token as the secret access key.`,
		Example: `  watershed run examples/sales/pipeline.yaml --data ./data
  aws kinesis put-record --endpoint-url http://127.0.0.1:4580 --stream-name sales ...`,
		Args: exactly("FILE, the definition"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.data == "" {
				return usagef("run needs --data DIR, where the pipeline keeps everything")
			}
			if o.shards < 0 {
				return usagef("--shards wants a positive number")
			}
			if o.retention < leastRetention {
				return usagef("--retention must be at least %s", leastRetention)
			}
			def, err := definition.Load(args[0])
			if err != nil {
				return err
			}
			o.logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			return serve(cmd, def, o, listen)
		},
	}
	cmd.Flags().StringVar(&o.data, "data", "", "the data directory; created if it does not exist")
	cmd.Flags().StringVar(&listen, "listen", defaultListen, "the address to listen on; port 0 picks a free one")
	cmd.Flags().IntVar(&o.shards, "shards", 0, "shards of a new data directory (default 2)")
	cmd.Flags().DurationVar(&o.retention, "retention", defaultRetention, "how long the log keeps an event; longer while it is not archived and in a version")
	cmd.Flags().BoolVar(&o.throttle, "throttle", false, "hold every shard to Kinesis's rates")
	return cmd
}

// serve runs the layers behind a listener until the command is interrupted.
func serve(cmd *cobra.Command, def *definition.Definition, o layerOptions, listen string) (err error) {
	token := os.Getenv(tokenVariable)
	listener, err := openListener(listen, token)
	if err != nil {
		return err
	}
	defer listener.Close()
	l, err := openLayers(def, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()

	// A request that outlives the shutdown is cancelled, and waited for: it may
	// still read from the store.
	requests, cancelRequests := context.WithCancel(context.WithoutCancel(cmd.Context()))
	defer cancelRequests()
	var answering sync.WaitGroup
	guarded := kinesis.Guard(token)(l.handler)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answering.Add(1)
			defer answering.Done()
			guarded.ServeHTTP(w, r)
		}),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(o.logger.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	// The layers outlive the server, so that they apply what it took.
	working, cancel := context.WithCancel(context.WithoutCancel(cmd.Context()))
	defer cancel()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); l.serve(working, cmd.Context(), stop) }()

	fmt.Fprintf(cmd.OutOrStdout(), "ready: pipeline %s at http://%s, data in %s\n", def.Pipeline, listener.Addr(), o.data)
	select {
	case err = <-failed:
		err = fmt.Errorf("serving: %w", err)
	case <-cmd.Context().Done():
		o.logger.Info("stopping: taking no more events")
		shutdown, release := context.WithTimeout(context.Background(), shutdownTimeout)
		defer release()
		if stopped := server.Shutdown(shutdown); stopped != nil {
			o.logger.Warn("requests were cut off", "error", stopped)
			cancelRequests()
			_ = server.Close()
		}
	}
	answering.Wait()
	close(stop)
	<-done
	return err
}

// openListener listens; off loopback only with a token.
func openListener(address, token string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usagef("--listen %s: want HOST:PORT", address)
	}
	if token != "" && (len(token) < minToken || strings.TrimSpace(token) != token) {
		return nil, usagef("the token in %s wants %d characters at least, and no blanks around them", tokenVariable, minToken)
	}
	if token == "" && !onLoopback(host) {
		return nil, usagef("--listen %s is reachable from other machines: set a token in %s, or listen on 127.0.0.1", address, tokenVariable)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	return listener, nil
}

func onLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
