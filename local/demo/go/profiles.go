package main

import (
	"net/http"
	"net/http/pprof"
)

// profileRoutes serves the runtime's profiles on a port of their own, which the service's public route never reaches.
// There is no /cmdline: it would show the process's arguments.
func profileRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
