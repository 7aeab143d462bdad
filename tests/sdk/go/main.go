// Calls operations of the Go SDK (azure-sdk-for-go, services/personalizer/v1.0) and prints what came of each as a line of JSON.
// Arguments: what to do (operations, ids, retries, unreachable), the endpoint, the key, and event ids; ids are JSON texts.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/services/personalizer/v1.0/personalizer"
	"github.com/Azure/go-autorest/autorest"
	"github.com/Azure/go-autorest/autorest/azure"
	"github.com/Azure/go-autorest/autorest/date"
)

type facts map[string]any

func main() {
	what, endpoint, key, rest := os.Args[1], os.Args[2], os.Args[3], os.Args[4:]
	sdk := connect(endpoint, key)
	switch what {
	case "operations":
		operations(sdk, connect(endpoint, "another"), rest[0])
	case "ids":
		ids(sdk, rest)
	case "retries":
		retries(sdk, rest[0])
	case "unreachable":
		sdk.base.RetryAttempts, sdk.base.RetryDuration = 0, time.Millisecond
		ranked, err := sdk.base.Rank(context.Background(), asked(rest[0]))
		told("rank", ranked.Response.Response, err, nil)
	default:
		panic(what)
	}
}

// --- the SDK

type clients struct {
	base          personalizer.BaseClient
	events        personalizer.EventsClient
	configuration personalizer.ServiceConfigurationClient
	policy        personalizer.PolicyClient
	evaluations   personalizer.EvaluationsClient
	log           personalizer.LogClient
	model         personalizer.ModelClient
}

func connect(endpoint string, key string) clients {
	made := clients{
		base:          personalizer.New(endpoint),
		events:        personalizer.NewEventsClient(endpoint),
		configuration: personalizer.NewServiceConfigurationClient(endpoint),
		policy:        personalizer.NewPolicyClient(endpoint),
		evaluations:   personalizer.NewEvaluationsClient(endpoint),
		log:           personalizer.NewLogClient(endpoint),
		model:         personalizer.NewModelClient(endpoint),
	}
	authorizer := autorest.NewCognitiveServicesAuthorizer(key)
	for _, each := range []*autorest.Client{
		&made.base.Client, &made.events.Client, &made.configuration.Client, &made.policy.Client,
		&made.evaluations.Client, &made.log.Client, &made.model.Client,
	} {
		each.Authorizer = authorizer
	}
	return made
}

// names lists the operations of all clients: methods that are neither a step of one nor inherited from autorest.
func names(sdk clients) []string {
	inherited := methods(autorest.Client{})
	found := []string{}
	for _, each := range []any{sdk.base, sdk.events, sdk.configuration, sdk.policy, sdk.evaluations, sdk.log, sdk.model} {
		client := strings.TrimSuffix(reflect.TypeOf(each).Name(), "Client")
		for _, name := range methods(each) {
			isStep := strings.HasSuffix(name, "Preparer") || strings.HasSuffix(name, "Sender") || strings.HasSuffix(name, "Responder")
			isRank := name == "Rank" && client != "Base" // of the client that all others embed
			if !isStep && !isRank && !slices.Contains(inherited, name) {
				found = append(found, client+"."+name)
			}
		}
	}
	return found
}

func methods(client any) []string {
	found := []string{}
	kind := reflect.TypeOf(client)
	for number := range kind.NumMethod() {
		found = append(found, kind.Method(number).Name)
	}
	return found
}

// --- every operation, and refusals

func operations(sdk clients, stranger clients, eventID string) {
	ctx := context.Background()
	say("operations", facts{"names": names(sdk)})

	logged, err := sdk.log.GetProperties(ctx)
	told("Log.GetProperties", logged.Response.Response, err, facts{"isEmpty": logged.DateRange == nil})

	ranked, err := sdk.base.Rank(ctx, asked(eventID, "sport"))
	told("Base.Rank", ranked.Response.Response, err, facts{"body": read(ranked)})
	activated, err := sdk.events.Activate(ctx, eventID)
	told("Events.Activate", activated.Response, err, nil)
	rewarded, err := sdk.events.Reward(ctx, eventID, personalizer.RewardRequest{Value: pointer(0.75)})
	told("Events.Reward", rewarded.Response, err, nil)
	unnamed := asked("")
	unnamed.EventID = nil
	own, err := sdk.base.Rank(ctx, unnamed)
	told("own id", own.Response.Response, err, facts{"body": read(own)})

	excluded, err := sdk.base.Rank(ctx, asked(eventID, "news", "sport", "film"))
	told("all excluded", excluded.Response.Response, err, nil)
	much, err := sdk.events.Reward(ctx, eventID, personalizer.RewardRequest{Value: pointer(1.5)})
	told("too much", much.Response, err, nil)
	strange, err := stranger.base.Rank(ctx, asked(eventID))
	told("another key", strange.Response.Response, err, nil)
	strangest, err := stranger.model.Get(ctx)
	told("another key for the model", strangest.Response.Response, err, nil)

	before, err := sdk.configuration.Get(ctx)
	told("ServiceConfiguration.Get", before.Response.Response, err, facts{"body": before})
	changed := before
	changed.ExplorationPercentage = pointer(0.5)
	put, err := sdk.configuration.Update(ctx, changed)
	told("ServiceConfiguration.Update", put.Response.Response, err, facts{"body": put})
	wrong := before
	wrong.RewardWaitTime = pointer("P31D")
	long, err := sdk.configuration.Update(ctx, wrong)
	told("too long", long.Response.Response, err, nil)
	back, err := sdk.configuration.Update(ctx, before)
	told("put back", back.Response.Response, err, facts{"body": back})

	policy, err := sdk.policy.Get(ctx)
	told("Policy.Get", policy.Response.Response, err, facts{"body": policy})
	softmax := personalizer.PolicyContract{Name: pointer("mine"), Arguments: pointer("--cb_explore_adf --softmax")}
	updated, err := sdk.policy.Update(ctx, softmax)
	told("Policy.Update", updated.Response.Response, err, facts{"body": updated})
	nonsense, err := sdk.policy.Update(ctx, personalizer.PolicyContract{Name: pointer("x"), Arguments: pointer("--nonsense")})
	told("no policy", nonsense.Response.Response, err, nil)
	reset, err := sdk.policy.Reset(ctx)
	told("Policy.Reset", reset.Response.Response, err, facts{"body": reset})

	evaluate(ctx, sdk, softmax)

	properties, err := sdk.model.GetProperties(ctx)
	told("Model.GetProperties", properties.Response.Response, err, facts{"body": read(properties)})
	model, err := sdk.model.Get(ctx)
	told("Model.Get", model.Response.Response, err, facts{"bytes": size(model)})
	gone, err := sdk.model.Reset(ctx)
	told("Model.Reset", gone.Response, err, nil)
	deleted, err := sdk.log.Delete(ctx)
	told("Log.Delete", deleted.Response, err, nil)
	empty, err := sdk.log.GetProperties(ctx)
	told("properties after the deletion", empty.Response.Response, err, facts{"isEmpty": empty.DateRange == nil})
}

func evaluate(ctx context.Context, sdk clients, policy personalizer.PolicyContract) {
	contract := personalizer.EvaluationContract{
		Name:                         pointer("first"),
		StartTime:                    &date.Time{Time: time.Now().UTC().Add(-time.Hour)},
		EndTime:                      &date.Time{Time: time.Now().UTC().Add(time.Hour)},
		Policies:                     &[]personalizer.PolicyContract{policy},
		EnableOfflineExperimentation: pointer(false),
	}
	created, err := sdk.evaluations.Create(ctx, contract)
	told("Evaluations.Create", created.Response.Response, err, facts{"id": created.ID, "location": created.Response.Header.Get("Location")})
	found := created
	for range 300 {
		found, err = sdk.evaluations.Get(ctx, *created.ID)
		if err != nil || found.Status == personalizer.Completed || found.Status == personalizer.Failed {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	told("Evaluations.Get", found.Response.Response, err, facts{"status of it": found.Status, "policies": policies(found)})
	listed, err := sdk.evaluations.List(ctx)
	kept := []string{}
	if listed.Value != nil {
		for _, each := range *listed.Value {
			kept = append(kept, *each.ID)
		}
	}
	told("Evaluations.List", listed.Response.Response, err, facts{"ids": kept})
	removed, err := sdk.evaluations.Delete(ctx, *created.ID)
	told("Evaluations.Delete", removed.Response, err, nil)
	missing, err := sdk.evaluations.Get(ctx, *created.ID)
	told("deleted", missing.Response.Response, err, nil)
	contract.EndTime = contract.StartTime
	turned, err := sdk.evaluations.Create(ctx, contract)
	told("no range", turned.Response.Response, err, nil)
}

func policies(found personalizer.Evaluation) []facts {
	told := []facts{}
	if found.PolicyResults == nil {
		return told
	}
	for _, each := range *found.PolicyResults {
		one := facts{"name": each.Name}
		if each.TotalSummary != nil {
			one["rounds"] = each.TotalSummary.IpsEstimatorDenominator
			one["nonZeroProbability"] = each.TotalSummary.NonZeroProbability
			one["window"] = each.TotalSummary.AggregateTimeWindow
		}
		if each.Summary != nil {
			windows := []string{}
			for _, bucket := range *each.Summary {
				windows = append(windows, *bucket.AggregateTimeWindow)
			}
			one["windows"] = windows
		}
		told = append(told, one)
	}
	return told
}

// --- event ids

func ids(sdk clients, written []string) {
	ctx := context.Background()
	for _, each := range written {
		var eventID string
		if err := json.Unmarshal([]byte(each), &eventID); err != nil {
			panic(err)
		}
		request := asked(eventID)
		request.DeferActivation = pointer(true)
		ranked, err := sdk.base.Rank(ctx, request)
		told("rank", ranked.Response.Response, err, facts{"id": eventID, "answered": ranked.EventID})
		activated, err := sdk.events.Activate(ctx, eventID)
		told("activate", activated.Response, err, facts{"id": eventID})
		rewarded, err := sdk.events.Reward(ctx, eventID, personalizer.RewardRequest{Value: pointer(0.25)})
		told("reward", rewarded.Response, err, facts{"id": eventID})
	}
}

// --- retries

func retries(sdk clients, eventID string) {
	ctx := context.Background()
	begun := time.Now()
	ranked, err := sdk.base.Rank(ctx, asked(eventID))
	told("rank", ranked.Response.Response, err, facts{"body": read(ranked), "seconds": time.Since(begun).Seconds()})
	begun = time.Now()
	rewarded, err := sdk.events.Reward(ctx, eventID, personalizer.RewardRequest{Value: pointer(0.5)})
	told("reward", rewarded.Response, err, facts{"seconds": time.Since(begun).Seconds()})
}

// --- what is sent, and what is told

func asked(eventID string, excluded ...string) personalizer.RankRequest {
	actions := []personalizer.RankableAction{}
	for _, id := range []string{"news", "sport", "film"} {
		features := []any{map[string]any{"topic": id}, map[string]any{"price": 1.5}}
		actions = append(actions, personalizer.RankableAction{ID: pointer(id), Features: &features})
	}
	context := []any{map[string]any{"user": map[string]any{"device": "phone"}}}
	return personalizer.RankRequest{
		ContextFeatures: &context, Actions: &actions, ExcludedActions: &excluded, EventID: &eventID, DeferActivation: pointer(len(excluded) == 1),
	}
}

// told says how a call ended; an error is told as an application would find it in the SDK's own types.
func told(what string, response *http.Response, err error, more facts) {
	said := facts{"status": 0}
	if response != nil {
		said["status"] = response.StatusCode
	}
	for name, value := range more {
		said[name] = value
	}
	var detailed autorest.DetailedError
	var refused *azure.RequestError
	if errors.As(err, &detailed) {
		said["detailed"] = fmt.Sprint(detailed.StatusCode)
		err = detailed.Original
	}
	if errors.As(err, &refused) {
		service := refused.ServiceError
		said["error"] = facts{"code": service.Code, "message": service.Message, "target": service.Target, "requestId": refused.RequestID}
	} else if err != nil {
		said["failure"] = err.Error()
	}
	say(what, said)
}

// read gives the members of an answer, which the SDK itself leaves out when it writes one, since they are read-only.
func read(answer any) facts {
	found := facts{}
	value := reflect.ValueOf(answer)
	for number := range value.NumField() {
		field := value.Type().Field(number)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || value.Field(number).IsNil() {
			continue
		}
		if ranking, isRanking := value.Field(number).Interface().(*[]personalizer.RankedAction); isRanking {
			each := []facts{}
			for _, action := range *ranking {
				each = append(each, facts{"id": action.ID, "probability": action.Probability})
			}
			found[name] = each
		} else {
			found[name] = value.Field(number).Interface()
		}
	}
	return found
}

func size(model personalizer.ReadCloser) int {
	if model.Value == nil {
		return 0
	}
	body, err := io.ReadAll(*model.Value)
	if err != nil {
		panic(err)
	}
	return len(body)
}

func say(what string, more facts) {
	line := facts{"what": what}
	for name, value := range more {
		line[name] = value
	}
	written, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(written))
}

func pointer[T any](value T) *T { return &value }
