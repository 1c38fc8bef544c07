// Go's net/http, flushed after each event. See story.mjs for what is asked and said.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

type event struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Data    string `json:"data"`
	Retry   int    `json:"retry"`
	Silence int    `json:"silence"`
}

var story []event

func say(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

func block(e event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "id: %s\n", e.ID)
	if e.Type != "" {
		fmt.Fprintf(&b, "event: %s\n", e.Type)
	}
	if e.Retry != 0 {
		fmt.Fprintf(&b, "retry: %d\n", e.Retry)
	}
	for _, line := range strings.Split(e.Data, "\n") {
		fmt.Fprintf(&b, "data: %s\n", line)
	}
	return b.String() + "\n"
}

// missed is what comes after the event with the id `last`.
func missed(last string) []event {
	for i, e := range story {
		if e.ID == last {
			return story[i+1:]
		}
	}
	return story
}

func events(w http.ResponseWriter, r *http.Request) {
	run := r.URL.Query().Get("run")
	pause := 5 * time.Millisecond
	if ms, err := time.ParseDuration(r.URL.Query().Get("pause") + "ms"); err == nil {
		pause = ms
	}
	last := r.Header.Get("Last-Event-ID")
	say(map[string]string{"opened": run, "last": last})
	defer say(map[string]string{"left": run})
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range missed(last) {
		time.Sleep(time.Duration(e.Silence) * time.Millisecond)
		if _, err := fmt.Fprint(w, block(e)); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		time.Sleep(pause)
	}
	<-r.Context().Done()
}

func main() {
	text, err := os.ReadFile(os.Getenv("STORY"))
	if err == nil {
		err = json.Unmarshal(text, &story)
	}
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/events", events)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	say(map[string]int{"ready": listener.Addr().(*net.TCPAddr).Port})
	panic(http.Serve(listener, nil))
}
