"""Every operation in words, with an example."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from shared.api.breakdowns import (
    CROSSED,
    LARGEST_PAGE,
    LONGEST_SEARCH,
    MOST_CROSSED,
    ORDERS,
    PAGE,
    SORTS,
    ActionsResponse,
    CrossedResponse,
    SegmentsResponse,
)
from shared.api.changes import ChangesBody
from shared.api.configuration import ConfigurationRequest, ConfigurationRequest11, ConfigurationResponse, SetRequest, UnsetRequest
from shared.api.decisions import DecisionLine, DecisionsResponse
from shared.api.evaluation_report import EvaluationReportBody
from shared.api.evaluations import EvaluationBody, EvaluationContract, EvaluationPage, OldEvaluation, PolicyReferenceContract
from shared.api.events import DEFAULT_TOP, EventsResponse
from shared.api.events import MOST as MOST_EVENTS
from shared.api.feature_importances import FeatureImportanceBody, FeatureImportanceContract, FeatureImportancePage
from shared.api.figures import INTERVALS as FIGURES_INTERVALS
from shared.api.figures import FiguresResponse
from shared.api.log_breakdowns import BreakdownBody, BreakdownContract, BreakdownPage
from shared.api.log_download import CURSOR, EVENTS, JSON_LINES, MEDIA_TYPES
from shared.api.logs import LINES, InteractionLine, LogsProperties, ObservationLine
from shared.api.loops import KeyResponse, LoopBody, LoopRequest, LoopsResponse
from shared.api.model import DEFAULT_MOVED, MOST_MOVED, ComparisonBody, ModelPropertiesBody, ModelVersionBody, ModelVersionsBody
from shared.api.multislot import MultiSlotRankRequest, MultiSlotRankResponse, MultiSlotRewardRequest
from shared.api.openapi.described import BYTES, HTML, JSON, Answer, Body, Described, Parameter, Schema
from shared.api.paging import DEFAULT_SIZE, LARGEST
from shared.api.policy import PolicyContract
from shared.api.preview import LoopPreviewResponse, PreviewRequest, PreviewResponse
from shared.api.rank import RankRequest, RankResponse
from shared.api.receipts import ReceiptBody
from shared.api.reward import RewardRequest
from shared.api.rules import MAX_EVENT_ID_LENGTH
from shared.api.schedules import ScheduleBody, ScheduleContract, ScheduleList
from shared.api.serving import ServingBody
from shared.api.status import StatusResponse
from shared.api.times import TIME_SCHEMA
from shared.api.wire import EVENT_ID_SCHEMA
from shared.domain import errors
from shared.domain.changes import MOST_TOLD
from shared.domain.evaluation import INTERVALS, Window
from shared.domain.loop import LOOP_NAME

TAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Rank and reward": "The calls of an application: which action to show, and the reward that it earned.",
        "Several slots": "The same for several places on a page. Not in v1.0, and only for a loop whose policy says `--ccb_explore_adf`.",
        "Configuration": "A loop's settings and its learning policy.",
        "Model": "Export, import, delete the model, or go back to an earlier version.",
        "Log": "The log, and the history of single events.",
        "Evaluations": "Estimated rewards of other policies, and the features that matter.",
        "Figures": "The reward of the loop, and the estimated rewards of your own choice and of chance.",
        "Loops": "The loops beside the default one. Only for the administrator.",
        "Service": "The service itself; no key is needed.",
    }
)
"""What operations are about, in the order in which they are told."""

_ID: Final = {"type": "string", "minLength": 1, "maxLength": MAX_EVENT_ID_LENGTH}

PATH_PARAMETERS: Final[Mapping[str, tuple[Schema, str, Any]]] = MappingProxyType(
    {
        "eventId": (EVENT_ID_SCHEMA, "The event's id, percent-encoded, also a slash in it.", "75269AD0-BFEE-4598-8196-C57383D38E10"),
        "evaluationId": (_ID, "The evaluation's id, percent-encoded.", "b58c6d92-b727-48c1-9487-4be2782c9e0a"),
        "featureImportanceId": (_ID, "The feature importance's id, percent-encoded.", "myFeatureImportanceId"),
        "scheduleId": (_ID, "The schedule's id, percent-encoded.", "weekly"),
        "breakdownId": (_ID, "The breakdown's id, percent-encoded.", "byDevice"),
        "modelVersion": (
            {"type": "string", "minLength": 1},
            "A version that `model/versions` lists.",
            "00000000000000000042-0f2a9c1b7d3e4f50",
        ),
        "loop": (
            {"type": "string", "pattern": f"^{LOOP_NAME.pattern}$"},
            "The loop's name; it may not end in `x` and four digits.",
            "news",
        ),
        "number": ({"type": "string", "enum": ["1", "2", "client"]}, "Which of the two keys, or the client key.", "1"),
    }
)
"""Schema, description and example of what stands in a path; the version's are each operation's own."""

_EVENT: Final = "75269AD0-BFEE-4598-8196-C57383D38E10"
_NOON, _LATER = "2026-05-17T12:00:00Z", "2026-05-24T12:00:00Z"
_CONTENT: Final[list[dict[str, Any]]] = [
    {"id": "pasta", "features": [{"dish": {"taste": "salty", "temperature": "hot"}}]},
    {"id": "ice-cream", "features": [{"dish": {"taste": "sweet", "temperature": "cold"}}]},
]
_CONTEXT: Final[list[dict[str, Any]]] = [{"user": {"segment": "family", "age": 34}}, {"moment": {"part": "morning"}}]

_DONE: Final = Answer(204, "Done; there is no body.")

# --- rank and reward -------------------------------------------------------------------------------------------------

_SCORES: Final = Parameter(
    "scores",
    {"type": "boolean", "default": False},
    "`true` adds `scores`: the reward that the model expects of each action. The header `x-personalizer-scores` does the same.",
)

_RANK: Final = Described(
    "Rank and reward",
    "Rank actions",
    description="Gives each action a probability and draws the one to show. 201 means that the decision is stored. The same event id, "
    "situation and model give the same answer, so a call may be repeated.",
    body=Body(
        RankRequest,
        "Features are strings, numbers, booleans, null, arrays of numbers or of strings, and objects of these, at most 32 deep and "
        "50,000 values in all. "
        "Ids of actions are unique, each action has a feature that is not null, and one action at least is not excluded.",
        {"contextFeatures": _CONTEXT, "actions": _CONTENT, "excludedActions": [], "eventId": _EVENT, "deferActivation": False},
    ),
    parameters=(_SCORES,),
    answers=(
        Answer(
            201,
            "The decision, stored: the chosen action first, then from likely to unlikely; excluded ones keep their place.",
            RankResponse,
            {
                "ranking": [{"id": "pasta", "probability": 0.9}, {"id": "ice-cream", "probability": 0.1}],
                "eventId": _EVENT,
                "rewardActionId": "pasta",
            },
        ),
    ),
    errors=(errors.InvalidRankRequestError, errors.EventTooLargeError),
)

_REWARD: Final = Described(
    "Rank and reward",
    "Reward an event",
    description="The answer is 204 also if the event is not known (yet). The trainer finds its event later.",
    body=Body(RewardRequest, example={"value": 1.0}),
    answers=(_DONE,),
    errors=(errors.InvalidRewardRequestError,),
)

_ACTIVATE: Final = Described(
    "Rank and reward",
    "Activate a deferred event",
    description="An event that was ranked with `deferActivation` counts from now on. No body is needed.",
    answers=(_DONE,),
    errors=(errors.InvalidEventIdToActivateError,),
)

_MULTISLOT_RANK: Final = Described(
    "Several slots",
    "Rank actions for several slots",
    description="Fills the slots in order, each with another action.",
    parameters=(_SCORES,),
    body=Body(
        MultiSlotRankRequest,
        "Ids of slots are unique; there are no more slots than actions. Each slot's baseline is an action that is not excluded there and "
        "is no other slot's baseline. At most 50,000 values, the context counted once for each slot.",
        {
            "contextFeatures": _CONTEXT,
            "actions": _CONTENT,
            "slots": [
                {"id": "top", "baselineAction": "pasta", "features": [{"size": "large"}], "excludedActions": ["ice-cream"]},
                {"id": "side", "baselineAction": "ice-cream"},
            ],
            "eventId": _EVENT,
            "deferActivation": False,
        },
    ),
    answers=(
        Answer(
            201,
            "The decisions for all slots, stored, in the order of the request.",
            MultiSlotRankResponse,
            {
                "slots": [{"id": "top", "rewardActionId": "pasta"}, {"id": "side", "rewardActionId": "ice-cream"}],
                "eventId": _EVENT,
            },
        ),
    ),
    errors=(errors.InvalidMultiSlotApiAccessError, errors.InvalidRankRequestError, errors.EventTooLargeError),
)

_MULTISLOT_REWARD: Final = Described(
    "Several slots",
    "Reward slots of an event",
    description="All rewards are stored, or none. A slot that is not named gets the default reward.",
    body=Body(MultiSlotRewardRequest, example={"reward": [{"slotId": "top", "value": 1.0}, {"slotId": "side", "value": 0.0}]}),
    answers=(_DONE,),
    errors=(errors.InvalidMultiSlotApiAccessError, errors.InvalidRewardRequestError),
)

_MULTISLOT_ACTIVATE: Final = replace(
    _ACTIVATE,
    tag="Several slots",
    summary="Activate all slots of a deferred event",
    errors=(errors.InvalidMultiSlotApiAccessError, errors.InvalidEventIdToActivateError),
)

# --- configuration ---------------------------------------------------------------------------------------------------

_SETTINGS: Final[dict[str, Any]] = {
    "rewardWaitTime": "PT10M",
    "defaultReward": 0.0,
    "rewardAggregation": "earliest",
    "explorationPercentage": 0.2,
    "modelExportFrequency": "PT5M",
    "logRetentionDays": 90,
}
_SETTINGS_LEFT: Final = {
    **_SETTINGS,
    "logMirrorEnabled": False,
    "learningMode": "Online",
    "isAutoOptimizationEnabled": False,
    "autoOptimizationFrequency": "P28D",
    "isInferenceExplainabilityEnabled": False,
}
_SETTINGS_RULES: Final = (
    "Durations are ISO 8601: `rewardWaitTime` from 1 second to 30 days, `modelExportFrequency` from 1 second to 1 day, "
    "`autoOptimizationFrequency` from 1 hour to 365 days. Members that are not required keep their value if they are left out, or null."
)
_CONFIGURATION_ERRORS: Final = (
    errors.InvalidConfigurationError,
    errors.InvalidLearningModeChangeError,
    errors.InvalidRewardWaitTimeError,
    errors.InvalidLogRetentionDaysError,
    errors.InvalidModelRetrainDaysError,
    errors.AutoOptimizationError,
)
_STATE: Final = {"ETag": "The tag of what is in force, for If-Match."}
_IF_MATCH: Final = Parameter(
    "If-Match",
    {"type": "string"},
    "The tag that you read. The change is refused (412) if somebody else made another one since; without it, the last change wins.",
    place="header",
)
_IF_NEW: Final = Parameter(
    "If-None-Match", {"type": "string", "enum": ["*"]}, "The loop is made only if it is not there; else 412.", place="header"
)
_CONFIGURATION_GET: Final = Described(
    "Configuration",
    "Read the configuration",
    answers=(
        Answer(200, "The configuration in force, in the shape of the version.", ConfigurationResponse, _SETTINGS_LEFT, headers=_STATE),
    ),
)
_CONFIGURATION_PUT: Final = Described(
    "Configuration",
    "Change the configuration",
    description="The learning mode and the reward settings cannot be changed in one call. Some changes have the model learned again.",
    body=Body(ConfigurationRequest11, _SETTINGS_RULES, {**_SETTINGS, "learningMode": "Online"}),
    answers=(Answer(200, "The configuration in force from now on.", ConfigurationResponse, _SETTINGS_LEFT, headers=_STATE),),
    parameters=(_IF_MATCH,),
    errors=(*_CONFIGURATION_ERRORS, errors.InvalidContainerError, errors.PreconditionFailedError),
)
_CONFIGURATION_PUT_2022: Final = replace(
    _CONFIGURATION_PUT,
    body=Body(ConfigurationRequest, _SETTINGS_RULES, {**_SETTINGS, "learningMode": "Online", "modelRetrainDays": 2}),
    answers=(
        Answer(
            200,
            "The configuration in force from now on.",
            ConfigurationResponse,
            {**_SETTINGS_LEFT, "modelRetrainDays": 2},
            headers=_STATE,
        ),
    ),
    errors=(*_CONFIGURATION_ERRORS, errors.InvalidSasUriError, errors.PreconditionFailedError),
)

_CONFIGURATION_SET: Final = Described(
    "Configuration",
    "Set members of the configuration",
    description="Only the members that are sent are set. A value that is in force already becomes the loop's own as well, "
    "and so does not follow the app's settings any more.",
    body=Body(SetRequest, _SETTINGS_RULES, {"configuration": {"modelRetrainDays": 2}}),
    answers=(Answer(200, "The configuration in force from now on.", ConfigurationResponse, _SETTINGS_LEFT, headers=_STATE),),
    parameters=(_IF_MATCH,),
    errors=(*_CONFIGURATION_ERRORS, errors.InvalidSasUriError, errors.PreconditionFailedError),
)
_CONFIGURATION_UNSET: Final = Described(
    "Configuration",
    "Have members follow the app's settings again",
    description="A member that was changed once keeps the loop's own value until it is unset.",
    body=Body(UnsetRequest, "Names of members.", {"members": ["rewardWaitTime"]}),
    answers=(Answer(200, "The configuration in force from now on.", ConfigurationResponse, _SETTINGS_LEFT, headers=_STATE),),
    parameters=(_IF_MATCH,),
    errors=(*_CONFIGURATION_ERRORS, errors.PreconditionFailedError),
)

_POLICY: Final = {"name": "default", "arguments": "--cb_explore_adf"}
_IDLE: Final = {"x-personalizer-without-effect": "The options that have no effect; left out if there are none."}
_POLICY_IN_FORCE: Final = Answer(200, "The policy in force.", PolicyContract, _POLICY, headers={**_STATE, **_IDLE})
_POLICY_GET: Final = Described("Configuration", "Read the learning policy", answers=(_POLICY_IN_FORCE,))
_POLICY_PUT: Final = Described(
    "Configuration",
    "Change the learning policy",
    description="A policy says how to explore and which features to use. If it uses other features, the model is learned again.",
    body=Body(PolicyContract, "The arguments are options of Vowpal Wabbit. Options that are not supported are refused.", _POLICY),
    answers=(_POLICY_IN_FORCE,),
    parameters=(_IF_MATCH,),
    errors=(
        errors.InvalidPolicyContractError,
        errors.InvalidPolicyConfigurationError,
        errors.AutoOptimizationError,
        errors.PreconditionFailedError,
    ),
)
_POLICY_DELETE: Final = Described(
    "Configuration",
    "Go back to the app's own learning policy",
    answers=(replace(_POLICY_IN_FORCE, description="The app's own policy, under a new random name."),),
    parameters=(_IF_MATCH,),
    errors=(errors.AutoOptimizationError, errors.PreconditionFailedError),
)

_EFFECT: Final = {
    "isLearnedAgain": True,
    "events": 1,
    "ofEvents": 20001,
    "eventsDeleted": 0,
    "isExact": True,
    "isLossy": True,
    "message": "The model is learned again from the log. The new model will know 1 of 20,001 events: modelRetrainDays is set to 2.",
    "changes": [{"member": "defaultReward", "before": 0.0, "after": 0.5}],
}
_PREVIEW: Final = Described(
    "Configuration",
    "Ask for the effect of a change",
    description="Nothing is changed. It is refused for the same reasons as the change itself.",
    body=Body(
        PreviewRequest,
        "Any part of a configuration, a policy, or both.",
        {"configuration": {"defaultReward": 0.5}},
    ),
    answers=(
        Answer(
            200,
            "How many events the next model will know, and how many events of the log a shorter retention deletes.",
            PreviewResponse,
            _EFFECT,
        ),
    ),
    errors=(
        errors.InvalidRequestError,
        *_CONFIGURATION_ERRORS,
        errors.InvalidSasUriError,
        errors.InvalidPolicyConfigurationError,
    ),
)

# --- the model -------------------------------------------------------------------------------------------------------

_FILE: Final = {
    "Content-Disposition": "The file's name: `model.vw`, or `model.vw.zip` if it is signed.",
    "Last-Modified": "When the model was published; left out before there was one.",
}
_VERSION: Final = {
    "version": "00000000000000000042-0f2a9c1b7d3e4f50",
    "publishedAt": _NOON,
    "kind": "trained",
    "parent": "00000000000000000041-7b3e0a9d2c4f5160",
    "learned": 120000,
    "window": {"since": "2026-05-17T11:55:00Z", "until": _NOON},
    "isServed": True,
}
_MODEL_GET: Final = Described(
    "Model",
    "Export the model",
    parameters=(
        Parameter(
            "signed",
            {"type": "boolean", "default": False},
            "`true` gives the signed archive, which can be imported.",
        ),
    ),
    answers=(Answer(200, "The model as a file.", media_type=BYTES, headers=_FILE),),
)
_MODEL_PUT: Final = Described(
    "Model",
    "Import a model",
    description="Publishes the model of a signed archive whose signer is trusted. To repeat the call changes nothing.",
    body=Body(description="The archive that `GET model?signed=true` gave.", media_type=BYTES),
    answers=(_DONE,),
    errors=(errors.InvalidModelImportFormatError, errors.InvalidModelImportSignatureError),
)
_MODEL_DELETE: Final = Described("Model", "Delete the model", description="Afterwards there is no model. The log stays.", answers=(_DONE,))
_MODEL_PROPERTIES: Final = Described(
    "Model",
    "Read when the model began and was last changed",
    answers=(
        Answer(
            200,
            "The times; both `0001-01-01T00:00:00+00:00` before the first model.",
            ModelPropertiesBody,
            {"creationTime": "2026-05-01T08:00:00Z", "lastModifiedTime": _NOON},
        ),
    ),
)
_MODEL_VERSIONS: Final = Described(
    "Model",
    "List the versions that are kept",
    answers=(Answer(200, "The versions, newest first.", ModelVersionsBody, {"value": [_VERSION]}),),
)
_MODEL_RESTORE: Final = Described(
    "Model",
    "Go back to a version",
    description="Publishes a copy of it as a new version. No body is needed.",
    answers=(Answer(200, "The copy.", ModelVersionBody, {**_VERSION, "kind": "restored", "parent": _VERSION["version"]}),),
    errors=(errors.UnusableModelError,),
)

_MODELS_SERVING: Final = Described(
    "Model",
    "Read all that a client needs to decide by itself",
    description="With If-None-Match, and the tag of the last answer, the answer is 304 without a body as long as there is nothing new. "
    "docs/internals/the-wire.md tells what a client does with it.",
    parameters=(Parameter("If-None-Match", {"type": "string"}, "The tag of the last answer: 304 if it is still so.", place="header"),),
    answers=(
        Answer(
            200,
            "The model, the settings, and the ticket that decisions are sent back with.",
            ServingBody,
            {
                "algorithm": 1,
                "loop": "default",
                "modelVersion": "",
                "settings": {
                    "learningMode": "Online",
                    "apprenticeLearning": "Imitate",
                    "explorationPercentage": 0.2,
                    "policyArguments": "--cb_explore_adf",
                    "holdoutPercentage": 0.0,
                },
                "pollSeconds": 10.0,
                "ticket": "qGAfZ5y1mVQ",
                "model": None,
            },
            headers={"ETag": "The tag of what is served, for If-None-Match."},
        ),
    ),
)

_MODELS_COMPARE: Final = Described(
    "Model",
    "Put two versions side by side",
    description="How much each feature, or pair of features, adds to the estimates of what was shown, by the one version and by the other. "
    "It is an average of those of the newest learned events (400 at most) that have it. What moved most comes first.",
    parameters=(
        Parameter("from", {"type": "string"}, "The one version; `model/versions` lists those that are kept. It is needed."),
        Parameter("to", {"type": "string"}, "The other version. It is needed."),
        Parameter("top", {"type": "integer", "minimum": 1, "maximum": MOST_MOVED, "default": DEFAULT_MOVED}, "Number of features."),
    ),
    answers=(
        Answer(
            200,
            "Both versions, and what moved.",
            ComparisonBody,
            {
                "from": _VERSION,
                "to": _VERSION,
                "moved": [{"name": "moment.part=morning^dish.taste=sweet", "before": 0.11, "after": 0.23, "events": 120}],
                "events": 400,
            },
        ),
    ),
)

# --- the log ---------------------------------------------------------------------------------------------------------

_LOGS_PROPERTIES: Final = Described(
    "Log",
    "Read the time range of the log",
    answers=(
        Answer(
            200,
            "The range; an empty object when nothing is logged.",
            LogsProperties,
            {"dateRange": {"from": "2026-05-01T08:00:00Z", "to": _NOON}},
        ),
    ),
)
_LOGS_DELETE: Final = Described(
    "Log",
    "Delete the log",
    description="When the call is answered, everything that was logged before is no longer read. It is removed from storage soon after. "
    "The model stays.",
    answers=(_DONE,),
)
_LOGS_LINES: Final = Described(
    "Log",
    "Download a part of the log",
    description="The joined log: events with their rewards, once their reward wait time is over. An answer has some megabytes at most. "
    f"If there is more, its header `{CURSOR}` is the `cursor` of the next call with the same query. All pieces together are the file that "
    "`cli export` writes.",
    parameters=(
        Parameter("since", TIME_SCHEMA, "Only events that were ranked at this time or later."),
        Parameter("until", TIME_SCHEMA, "Only events that were ranked before; later than `since`."),
        Parameter(
            "format",
            {"type": "string", "enum": [*MEDIA_TYPES], "default": JSON_LINES},
            "`dsjson` is a JSON object on each line, `csv` a table with a row for each event or slot.",
        ),
        Parameter("spreadsheet", {"type": "boolean", "default": False}, "In CSV, an apostrophe before texts that look like formulas."),
        Parameter("cursor", {"type": "string"}, f"The header `{CURSOR}` of the piece before."),
    ),
    answers=(
        Answer(
            200,
            "Lines of the log, or rows. Only the first piece of a table has its head.",
            media_type=MEDIA_TYPES[JSON_LINES],
            headers={CURSOR: "The next piece's `cursor`; the last piece has none.", EVENTS: "The number of lines of the log in it."},
        ),
    ),
    errors=(errors.InvalidRequestError, errors.ResourceNotFoundError),
)
_LOGS_INTERACTIONS: Final = Described(
    "Log",
    "Log decisions that a client made by itself",
    description="From 1 to 1,000 lines, stored all or none. Binary (FlatBuffers) batches are not read.",
    body=Body(
        description="JSON, one decision a line.",
        media_type=LINES[0],
        line=InteractionLine,
        example='{"eventId": "e1", "actions": [{"id": "pasta", "features": [{"taste": "salty"}]}, '
        '{"id": "ice-cream", "features": [{"taste": "sweet"}]}], "ranking": [{"id": "pasta", "probability": 0.9}, '
        '{"id": "ice-cream", "probability": 0.1}], "rewardActionId": "pasta"}\n',
    ),
    answers=(_DONE,),
    errors=(errors.InvalidRankRequestError, errors.EventTooLargeError, errors.UnsupportedMediaTypeError),
)
_LOGS_DECISIONS: Final = Described(
    "Log",
    "Log decisions that a client made by itself, verified",
    description="The first line may tell when the batch is sent; a line with a ticket is for the decisions behind it. "
    "The service makes each decision once more, and stores those that come out the same. At most 1,000 lines. "
    "docs/internals/the-wire.md has the rules.",
    body=Body(
        description="JSON, one decision a line.",
        media_type=LINES[0],
        line=DecisionLine,
        example='{"ticket": null}\n{"eventId": "e1", "actions": [{"id": "pasta", "features": [{"taste": "salty"}]}], '
        '"rewardActionId": "pasta", "probability": 1.0, "timestamp": "2026-05-17T11:59:59Z"}\n',
    ),
    answers=(
        Answer(
            200,
            "How many decisions were stored, or had been stored before, and the lines that were refused.",
            DecisionsResponse,
            {
                "stored": 998,
                "repeated": 0,
                "refused": [{"line": 7, "eventId": "e6", "code": "NotReproduced", "message": "the service chooses 'b' (probability 0.9)"}],
            },
        ),
    ),
    errors=(errors.EventTooLargeError, errors.UnsupportedMediaTypeError),
)
_LOGS_OBSERVATIONS: Final = Described(
    "Log",
    "Log rewards and activations that a client observed",
    description="From 1 to 1,000 lines, stored all or none. A line holds either `value` or `activate`.",
    body=Body(
        description="JSON, one reward or activation a line.",
        media_type=LINES[0],
        line=ObservationLine,
        example='{"eventId": "e1", "value": 1.0}\n{"eventId": "e2", "activate": true}\n',
    ),
    answers=(_DONE,),
    errors=(errors.InvalidRewardRequestError, errors.EventTooLargeError, errors.UnsupportedMediaTypeError),
)
_RECEIPT: Final = Described(
    "Log",
    "Look up an event",
    description="What was ranked and shown, with the context and all actions, their probabilities, and what the model that chose expected "
    "of each and why, as long as that model is kept; the rewards, and what became of each.",
    parameters=(Parameter("around", TIME_SCHEMA, "About when the event was ranked. Only the hour before and after is searched."),),
    answers=(
        Answer(
            200,
            "The event's decisions and rewards, and the result of each.",
            ReceiptBody,
            {
                "eventId": _EVENT,
                "decisions": [
                    {
                        "rankedAt": _NOON,
                        "rewardActionId": "pasta",
                        "probability": 0.9,
                        "learningMode": "Online",
                        "deferActivation": False,
                        "fate": "pending",
                        "pendingUntil": "2026-05-17T12:10:30Z",
                        "rewards": [{"observedAt": "2026-05-17T12:01:00Z", "value": 1.0, "outcome": "pending"}],
                        "contextFeatures": _CONTEXT,
                        "actions": [
                            {
                                **_CONTENT[0],
                                "probability": 0.9,
                                "isChosen": True,
                                "score": 0.43,
                                "reasons": [{"name": "moment.part^dish.taste", "score": 0.31}, {"name": "id", "score": 0.12}],
                            },
                            {**_CONTENT[1], "probability": 0.1, "isChosen": False},
                        ],
                    }
                ],
                "rewards": [],
                "searched": {"since": "2026-05-17T11:00:00Z", "until": "2026-05-17T12:02:00Z", "isCut": False},
            },
        ),
    ),
)

_EVENTS: Final = Described(
    "Log",
    "List the latest events",
    description="The newest events, and how rewards and their delays are spread. At most 5,000 events are looked at, those that wait in "
    "the hot log and the others in the joined log; `lookedAt` says which. Filters of events do not change the spreads, but for `action`.",
    parameters=(
        Parameter("action", {"type": "string"}, "Only events that showed this action."),
        Parameter("rewarded", {"type": "boolean"}, "Only events with a reward, or only those without one."),
        Parameter("late", {"type": "boolean"}, "Only events with a reward that came too late, or only those without one."),
        Parameter(
            "explored",
            {"type": "boolean"},
            "Only events where chance chose, as another action was shown than the likeliest, or several were as likely; or the others.",
        ),
        Parameter("since", TIME_SCHEMA, "Only events that were ranked from then on."),
        Parameter("until", TIME_SCHEMA, "Only events that were ranked before."),
        Parameter("top", {"type": "integer", "minimum": 1, "maximum": MOST_EVENTS, "default": DEFAULT_TOP}, "Number of events."),
    ),
    answers=(
        Answer(
            200,
            "The events, newest first.",
            EventsResponse,
            {
                "value": [
                    {
                        "eventId": _EVENT,
                        "slotId": None,
                        "rankedAt": _NOON,
                        "rewardActionId": "pasta",
                        "probability": 0.9,
                        "isExplored": False,
                        "modelVersion": None,
                        "learningMode": "Online",
                        "fate": "learned",
                        "reason": None,
                        "reward": 1.0,
                        "defaultRewardUsed": False,
                        "rewards": 1,
                        "lateRewards": 0,
                        "delaySeconds": 3.5,
                    }
                ],
                "lookedAt": {"events": 1, "since": _NOON, "until": _NOON, "isCut": False},
                "rewards": [{"low": 1.0, "high": 1.0, "count": 1}],
                "delays": [{"low": 1.0, "high": 5.0, "count": 1}],
                "models": [{"modelVersion": None, "events": 1, "averageReward": 1.0}],
            },
        ),
    ),
)

_CHANGES: Final = Described(
    "Configuration",
    "List what was changed",
    description=f"Settings, policy, tier and keys, and models that were imported, deleted or gone back to. The newest {MOST_TOLD} changes "
    "are kept. `by` names the key of the caller, `administrator`, or `service` for automatic optimisation. Keys are never told.",
    parameters=(Parameter("top", {"type": "integer", "minimum": 1, "maximum": MOST_TOLD, "default": MOST_TOLD}, "Number of changes."),),
    answers=(
        Answer(
            200,
            "The changes, newest first.",
            ChangesBody,
            {
                "value": [
                    {
                        "changedAt": _NOON,
                        "by": "key 1",
                        "kind": "settings",
                        "members": [{"name": "rewardWaitTime", "old": "PT10M", "new": "PT1H"}],
                        "isCertain": True,
                    }
                ]
            },
        ),
    ),
)

# --- evaluations -----------------------------------------------------------------------------------------------------

_EVALUATION: Final = {
    "name": "may",
    "startTime": _NOON,
    "endTime": _LATER,
    "policies": [{"name": "greedy", "arguments": "--cb_explore_adf --epsilon 0.05"}],
}
_JOB: Final = {
    "id": "b58c6d92-b727-48c1-9487-4be2782c9e0a",
    "name": "may",
    "startTime": _NOON,
    "endTime": _LATER,
    "creationTime": "2026-05-25T09:00:00Z",
}
_OLD_EVALUATION: Final = {
    **_JOB,
    "status": "notSubmitted",
    "policyResults": [{"name": "greedy", "arguments": "--cb_explore_adf --epsilon 0.05", "policySource": "Custom"}],
    "featureImportance": [],
    "evaluationType": "Manual",
    "optimalPolicy": "",
}
_REQUEST_ID: Final = Parameter(
    "x-ms-client-request-id",
    {"type": "string"},
    "The client's own name for its request, at most 128 characters. A repeated request with the same name is answered like the first.",
    place="header",
)
_PAGING: Final = (
    Parameter("top", {"type": "integer", "minimum": 0, "maximum": LARGEST, "default": LARGEST}, "Number of items."),
    Parameter("skip", {"type": "integer", "minimum": 0, "maximum": LARGEST, "default": 0}, "Number of items to leave out before them."),
    Parameter(
        "maxpagesize",
        {"type": "integer", "minimum": 1, "maximum": LARGEST, "default": DEFAULT_SIZE},
        "Largest number of items in one answer.",
    ),
)
_EVALUATION_RULES: Final = (
    "The end is later than the start. Names of policies are unique, and not `online`, `baseline1`, `baselineRand` or `random`; "
    "their arguments can be followed."
)
_EVALUATION_ERRORS: Final = (
    errors.InvalidEvaluationContractError,
    errors.InvalidEvaluationDatesError,
    errors.TooManyPoliciesError,
    errors.DuplicatePolicyNamesError,
    errors.InvalidPolicyContractError,
    errors.InvalidPolicyConfigurationError,
    errors.TooManyKeptError,
)
_EVALUATIONS_CREATE: Final = Described(
    "Evaluations",
    "Start an evaluation",
    description="The service makes the id.",
    parameters=(_REQUEST_ID,),
    body=Body(EvaluationContract, _EVALUATION_RULES, {**_EVALUATION, "enableOfflineExperimentation": False}),
    answers=(Answer(201, "The evaluation.", OldEvaluation, _OLD_EVALUATION, headers={"Location": "Where the evaluation is."}),),
    errors=_EVALUATION_ERRORS,
)
_EVALUATIONS_PUT: Final = Described(
    "Evaluations",
    "Start an evaluation under your own id",
    parameters=(_REQUEST_ID,),
    body=Body(EvaluationContract, _EVALUATION_RULES, {**_EVALUATION, "enablePolicyOptimization": False}),
    answers=(Answer(200, "It is started; there is no body."),),
    errors=(*_EVALUATION_ERRORS, errors.EvaluationAlreadyExistsError),
)
_EVALUATIONS_GET_OLD: Final = Described(
    "Evaluations",
    "Read an evaluation",
    answers=(Answer(200, "The evaluation and its results. The last three members are not in v1.0.", OldEvaluation, _OLD_EVALUATION),),
    errors=(errors.EvaluationNotFoundError,),
)
_EVALUATIONS_GET: Final = Described(
    "Evaluations",
    "Read an evaluation",
    parameters=(
        Parameter("startTime", TIME_SCHEMA, "Begin of the time series.", required=True),
        Parameter("endTime", TIME_SCHEMA, "End of the time series; later than `startTime`.", required=True),
        Parameter(
            "window",
            {"type": "string", "enum": [*Window], "default": "Expanding"},
            "`Expanding`: a point covers everything since the start. `Rolling`: a point covers its own interval.",
        ),
        Parameter(
            "intervalInMinutes",
            {"type": "integer", "enum": sorted(each for intervals in INTERVALS.values() for each in intervals), "default": 5},
            "Minutes between points: 5 with `Expanding`, 60 or more with `Rolling`.",
        ),
    ),
    answers=(
        Answer(
            200,
            "The evaluation and its results.",
            EvaluationBody,
            {
                **_JOB,
                "status": "Running",
                "evaluationType": "Manual",
                "content": {
                    "startTime": "0001-01-01T00:00:00",
                    "endTime": "0001-01-01T00:00:00",
                    "intervalInMinutes": 0,
                    "value": [],
                },
            },
        ),
    ),
    errors=(errors.EvaluationNotFoundError,),
)
_EVALUATIONS_REPORT: Final = Described(
    "Evaluations",
    "Read an evaluation's full report",
    description="For each policy, over all slots and in each: how much more it earns than the present policy, what was shown and the "
    "baseline; the figure of every estimator, every interval (95 %), and how reliable the weights are. Azure did not have this operation.",
    answers=(
        Answer(
            200,
            "The reports; none before the evaluation is over.",
            EvaluationReportBody,
            {
                "verdict": {
                    "sentence": "Not known yet whether greedy earns more than the present policy (0.020 an event so far): it takes about "
                    "900 more events.",
                    "moreEvents": 900,
                },
                "value": [
                    {
                        "name": "greedy",
                        "title": "greedy",
                        "slotId": "",
                        "policySource": "Custom",
                        "rounds": 1200,
                        "lift": 0.02,
                        "comparedWith": "present policy",
                        "lifts": {
                            "present policy": {
                                "value": 0.02,
                                "confidenceInterval": [-0.01, 0.05],
                                "anytimeInterval": [-0.03, 0.07],
                                "differingShare": 0.3,
                            }
                        },
                        "estimates": {"ips": 0.44, "snips": 0.43, "calibrated_dr": 0.43},
                        "intervals": {"default": [0.39, 0.47], "anytime": [0.35, 0.51]},
                        "weights": {
                            "mean": 1.01,
                            "confidenceInterval": [0.97, 1.05],
                            "isSound": True,
                            "effectiveRounds": 640.0,
                            "largest": 5.0,
                            "largestPossible": 10.0,
                            "forcedShare": 0.0,
                        },
                    }
                ],
            },
        ),
    ),
    errors=(errors.EvaluationNotFoundError,),
)
_EVALUATIONS_LIST_OLD: Final = Described(
    "Evaluations",
    "List the evaluations",
    answers=(Answer(200, "All of them, newest first, without time series.", list[OldEvaluation], [_OLD_EVALUATION]),),
)
_EVALUATIONS_LIST: Final = Described(
    "Evaluations",
    "List the evaluations",
    parameters=(
        Parameter("filter", {"type": "string"}, "`metadata=evaluationType eq 'Manual'`, or `'Auto'`: only these."),
        *_PAGING,
    ),
    answers=(
        Answer(
            200,
            "A page of them, newest first; `nextLink` is the address of the next page.",
            EvaluationPage,
            {"value": [{**_JOB, "status": "Running", "evaluationType": "Manual"}]},
        ),
    ),
)
_EVALUATIONS_DELETE: Final = Described("Evaluations", "Delete an evaluation", answers=(_DONE,), errors=(errors.EvaluationNotFoundError,))
_APPLY: Final = Described(
    "Evaluations",
    "Put a policy of an evaluation to use",
    body=Body(
        PolicyReferenceContract,
        "`online`, or the name of one of the evaluation's custom policies. With a `gate`, which Azure did not have, the policy "
        "is applied only if it keeps all rules of the gate.",
        {"evaluationId": "b58c6d92-b727-48c1-9487-4be2782c9e0a", "policyName": "greedy"},
    ),
    answers=(_DONE,),
    errors=(
        errors.InvalidContractError,
        errors.InvalidPolicyConfigurationError,
        errors.AutoOptimizationError,
        errors.EvaluationNotFoundError,
        errors.LearningSettingsNotFoundError,
        errors.GateNotPassedError,
    ),
)
_PLAN: Final[dict[str, Any]] = {
    "name": "every week",
    "everyDays": 7,
    "overDays": 7,
    "startTime": _NOON,
    "policies": [{"name": "greedy", "arguments": "--cb_explore_adf --epsilon 0.05"}],
    "comparedWith": "baseline1",
    "leastLifts": {"present policy": 0.02},
}
_SCHEDULED_RUN: Final[dict[str, Any]] = {
    "dueTime": _NOON,
    "startTime": "2026-05-10T11:40:00Z",
    "endTime": "2026-05-17T11:40:00Z",
    "evaluationId": "scheduled-3f0c9a51be-20260517T120000Z",
    "status": "Succeeded",
    "comparedWith": "baseline1",
    "events": 8000,
    "value": [
        {
            "name": "present policy",
            "policySource": "Custom",
            "expectedReward": 0.43,
            "confidenceInterval": [0.41, 0.45],
            "lift": 0.12,
            "liftInterval": [0.1, 0.14],
            "anytimeInterval": [0.08, 0.16],
            "leastLift": 0.02,
            "isBelow": False,
        }
    ],
}
_SCHEDULE: Final[dict[str, Any]] = {
    **_PLAN,
    "id": "weekly",
    "creationTime": _NOON,
    "nextTime": _LATER,
    "numberOfRuns": 1,
    "lastRun": _SCHEDULED_RUN,
}
_SCHEDULES_PUT: Final = Described(
    "Evaluations",
    "Schedule an evaluation",
    description="Every `everyDays` an evaluation of the last `overDays` is asked for, from `startTime` on, or from now on. Decisions that "
    "still wait for their rewards belong to the next run. The figures of the last 104 runs are kept. If the schedule exists, it is "
    "changed, and its series stays. `leastLifts` has a lift for each policy that an alert is to watch.",
    body=Body(
        ScheduleContract,
        "`comparedWith` names the policy that lifts are over. Names in `leastLifts` are those of `policies`, `present policy`, `online` "
        "and `baseline1`, but not the one in `comparedWith`.",
        _PLAN,
    ),
    answers=(Answer(200, "The schedule. A run that is due has begun.", ScheduleBody, {**_SCHEDULE, "runs": [_SCHEDULED_RUN]}),),
    errors=(
        errors.InvalidContractError,
        errors.TooManyKeptError,
        errors.TooManyPoliciesError,
        errors.DuplicatePolicyNamesError,
        errors.InvalidPolicyContractError,
        errors.InvalidPolicyConfigurationError,
    ),
)
_SCHEDULES_GET: Final = Described(
    "Evaluations",
    "Read a schedule and its series",
    answers=(Answer(200, "The schedule, and its runs, the oldest first.", ScheduleBody, {**_SCHEDULE, "runs": [_SCHEDULED_RUN]}),),
    errors=(errors.ScheduleNotFoundError,),
)
_SCHEDULES_LIST: Final = Described(
    "Evaluations",
    "List the schedules of evaluations",
    answers=(Answer(200, "All of them, the oldest first, each with its last run.", ScheduleList, {"value": [_SCHEDULE]}),),
)
_SCHEDULES_DELETE: Final = Described(
    "Evaluations",
    "Delete a schedule and its series",
    description="Evaluations that it has asked for stay.",
    answers=(_DONE,),
    errors=(errors.ScheduleNotFoundError,),
)
_IMPORTANCE: Final = {"name": "may", "startTime": _NOON, "endTime": _LATER}
_IMPORTANCES_PUT: Final = Described(
    "Evaluations",
    "Start a feature importance under your own id",
    parameters=(_REQUEST_ID,),
    body=Body(FeatureImportanceContract, "The end is later than the start.", _IMPORTANCE),
    answers=(Answer(200, "It is started; there is no body."),),
    errors=(errors.InvalidContractError, errors.FeatureImportanceAlreadyExistsError, errors.TooManyKeptError),
)
_IMPORTANCES_GET: Final = Described(
    "Evaluations",
    "Read a feature importance",
    answers=(
        Answer(200, "The feature importance and its results.", FeatureImportanceBody, {**_JOB, "status": "Running", "featureScores": []}),
    ),
    errors=(errors.FeatureImportanceNotFoundError,),
)
_IMPORTANCES_LIST: Final = Described(
    "Evaluations",
    "List the feature importances",
    parameters=_PAGING,
    answers=(
        Answer(
            200,
            "A page of them, newest first; `nextLink` is the address of the next page.",
            FeatureImportancePage,
            {"value": [{**_JOB, "status": "Running"}]},
        ),
    ),
)
_IMPORTANCES_DELETE: Final = Described(
    "Evaluations", "Delete a feature importance", answers=(_DONE,), errors=(errors.FeatureImportanceNotFoundError,)
)

# --- figures ---------------------------------------------------------------------------------------------------------

_POLICY_FIGURES: Final[dict[str, Any]] = {
    "name": "online",
    "expectedReward": 0.42,
    "confidenceInterval": [0.38, 0.47],
    "effectiveEvents": 1200.0,
}
_FIGURES: Final = Described(
    "Figures",
    "Read the live figures",
    description="The reward of the loop, and the estimated rewards of the application's own choice and of chance. "
    "The trainer counts it while it learns. Buckets without events are left out. "
    "Buckets of 5 minutes are kept for 2 days, of an hour for 60 days, of a day for 730 days. "
    "All intervals are 95 %: in the time series they hold for one bucket, in `totals` and `cumulative` they hold however often you look.",
    parameters=(
        Parameter("since", TIME_SCHEMA, "Begin of the first bucket; the oldest one if it is left out."),
        Parameter("until", TIME_SCHEMA, "End of the buckets; later than `since`."),
        Parameter("interval", {"type": "integer", "enum": [*FIGURES_INTERVALS], "default": FIGURES_INTERVALS[0]}, "Minutes of a bucket."),
    ),
    answers=(
        Answer(
            200,
            "The figures of the latest commit, and the latest answer times of this process.",
            FiguresResponse,
            {
                "loop": "default",
                "asOf": _LATER,
                "watermark": _LATER,
                "since": _NOON,
                "intervalInMinutes": 1440,
                "totals": {
                    "events": 1200,
                    "averageReward": 0.42,
                    "policies": [{**_POLICY_FIGURES, "meanWeight": 1.0, "meanWeightInterval": [1.0, 1.0]}],
                    "lift": {
                        "value": 0.4,
                        "confidenceInterval": [0.1, 0.9],
                        "difference": 0.12,
                        "differenceInterval": [0.04, 0.2],
                        "moreEvents": 18000,
                    },
                },
                "timeseries": [
                    {
                        "timeStamp": "2026-05-17T00:00:00Z",
                        "events": 1200,
                        "rewards": 500,
                        "lateRewards": 2,
                        "unknownRewards": 0,
                        "skipped": {"notActivated": 3},
                        "averageReward": 0.42,
                        "explorationShare": 0.08,
                        "entropy": 0.31,
                        "lagSeconds": 21.5,
                        "policies": [_POLICY_FIGURES],
                    }
                ],
                "cumulative": [{"timeStamp": "2026-05-17T00:00:00Z", "policies": [_POLICY_FIGURES]}],
                "experiment": {
                    "since": _NOON,
                    "until": _NOON,
                    "events": 1200,
                    "baseline": {"events": 118, "expectedReward": 0.3, "confidenceInterval": [0.21, 0.38]},
                    "learned": {"events": 1082, "expectedReward": 0.43, "confidenceInterval": [0.39, 0.47]},
                    "lift": {
                        "value": 0.43,
                        "confidenceInterval": [0.03, 1.24],
                        "difference": 0.13,
                        "differenceInterval": [0.01, 0.26],
                        "moreEvents": 43000,
                    },
                    "split": {"asked": 0.1, "found": 0.0983, "pValue": 1.0, "isAsAsked": True},
                    "verdict": "better",
                    "provenSince": _NOON,
                },
                "latency": {
                    "since": _NOON,
                    "rank": {"count": 800, "p50Ms": 3.1, "p95Ms": 6.4, "p99Ms": 11.2},
                    "reward": {"count": 0, "p50Ms": None, "p95Ms": None, "p99Ms": None},
                },
            },
        ),
    ),
    errors=(errors.InvalidRequestError,),
)

_SHARED_PARAMETERS: Final = (
    Parameter("since", TIME_SCHEMA, "Only hours and days that begin at this time or later."),
    Parameter("until", TIME_SCHEMA, "Only hours and days that begin before; later than `since`."),
)
_CHOSEN_ROWS: Final = (
    Parameter("search", {"type": "string", "maxLength": LONGEST_SEARCH}, "A part of the text, in any case."),
    Parameter("sort", {"type": "string", "enum": [*SORTS], "default": SORTS[0]}, "The order of the rows."),
    Parameter("order", {"type": "string", "enum": [*ORDERS]}, "`desc`, but `asc` for `id`, if it is left out."),
    Parameter("top", {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE}, "At most so many rows."),
    Parameter("skip", {"type": "integer", "minimum": 0, "maximum": LARGEST, "default": 0}, "So many rows are left out at the beginning."),
)
_ROWS_PARAMETERS: Final = (*_SHARED_PARAMETERS, *_CHOSEN_ROWS)
_CROSSED_PARAMETERS: Final = tuple(
    [
        Parameter(name, {"type": "integer", "minimum": 1, "maximum": MOST_CROSSED, "default": CROSSED}, f"At most so many {name}.")
        for name in ("actions", "values")
    ]
)
_BROKEN_DOWN: Final = (
    "The trainer counts it at each commit, for 90 days: by hours today and yesterday, else by days. "
    "All less frequent ones are counted together in `others`. All intervals are 95 % for one look."
)
_EARNED: Final[dict[str, Any]] = {
    "events": 300,
    "share": 0.25,
    "averageReward": 0.42,
    "confidenceInterval": [0.36, 0.48],
    "trend": [{"timeStamp": "2026-05-17T00:00:00Z", "events": 300, "share": 0.25, "averageReward": 0.42}],
}
_SEEN: Final[dict[str, Any]] = {"eventsMissed": 0, "firstSeen": _NOON, "lastSeen": _LATER}
_GAIN: Final[dict[str, Any]] = {
    "baselineReward": 0.3,
    "baselineInterval": [0.22, 0.39],
    "effectiveEvents": 140.0,
    "lift": {
        "value": 0.4,
        "confidenceInterval": [-0.1, 1.3],
        "difference": 0.12,
        "differenceInterval": [-0.04, 0.27],
        "moreEvents": None,
    },
}
_BREAKDOWN: Final[dict[str, Any]] = {"loop": "default", "watermark": _LATER, "since": _NOON, "source": "figures"}
_COUNTS: Final[dict[str, Any]] = {"intervalInMinutes": 1440, "count": 4, "matched": 4, "mostEventsOfOthers": 0}
_ACTIONS: Final[dict[str, Any]] = {
    **_COUNTS,
    "total": _EARNED,
    "others": _EARNED,
    "value": [{**_EARNED, **_SEEN, "id": "pasta"}],
}
_SEGMENTS: Final[dict[str, Any]] = {
    **_COUNTS,
    "feature": "user.device",
    "total": {**_EARNED, "gain": _GAIN},
    "others": {**_EARNED, "gain": _GAIN},
    "value": [{**_EARNED, **_SEEN, "value": "phone", "gain": _GAIN}],
}
_CROSSED: Final[dict[str, Any]] = {
    "feature": "user.device",
    "mostEventsOfOthers": 0,
    "values": [{"value": "phone", "events": 300}],
    "actions": [
        {"id": "pasta", "events": 300, "cells": [{name: value for name, value in _EARNED.items() if name != "trend"}]},
    ],
}
_FIGURES_ACTIONS: Final = Described(
    "Figures",
    "Read what was shown",
    description=f"Each action with its share, its average reward and its trend. {_BROKEN_DOWN}",
    parameters=_ROWS_PARAMETERS,
    answers=(
        Answer(
            200,
            "The actions as of the latest commit.",
            ActionsResponse,
            {**_BREAKDOWN, **_ACTIONS},
        ),
    ),
    errors=(errors.InvalidRequestError,),
)
_FIGURES_SEGMENTS: Final = Described(
    "Figures",
    "Read which segment gains",
    description="The rewards by the values of the feature that is `breakdownFeature` in the loop's configuration, and how much more "
    f"that is than the application's own choice would have earned. {_BROKEN_DOWN}",
    parameters=_ROWS_PARAMETERS,
    answers=(
        Answer(
            200,
            "The values as of the latest commit; `feature` is null as long as none is chosen and counted.",
            SegmentsResponse,
            {**_BREAKDOWN, **_SEGMENTS},
        ),
    ),
    errors=(errors.InvalidRequestError,),
)
_FIGURES_CROSSED: Final = Described(
    "Figures",
    "Read what was shown to whom",
    description=f"The most frequent actions by the most frequent values of the feature, in whole days. {_BROKEN_DOWN}",
    parameters=(*_SHARED_PARAMETERS, *_CROSSED_PARAMETERS),
    answers=(
        Answer(
            200,
            "A cell for each action and value; `share` is that of the value's events.",
            CrossedResponse,
            {**_BREAKDOWN, **_CROSSED},
        ),
    ),
    errors=(errors.InvalidRequestError,),
)

# --- breakdowns from the log -----------------------------------------------------------------------------------------

_FROM_LOG: Final[dict[str, Any]] = {**_BREAKDOWN, "source": "log"}
_COUNTED_FROM_LOG: Final = "A background job counted it from the log. `since` and `watermark` are the ends of the range that it covers."
_NO_RESULT: Final = (errors.InvalidRequestError, errors.BreakdownNotFoundError, errors.BreakdownWithoutResultError)
_BREAKDOWNS_PUT: Final = Described(
    "Figures",
    "Count a range of the log by a feature",
    description="A background job reads the log and counts by the values of a feature that need not be the loop's `breakdownFeature`. "
    "Rewards are as the loop's present settings make them.",
    parameters=(_REQUEST_ID,),
    body=Body(
        BreakdownContract,
        "`feature` names one of the context, such as `device` or `user.device`. The end is later than the start.",
        {"name": "may", "feature": "user.device", "startTime": _NOON, "endTime": _LATER},
    ),
    answers=(Answer(200, "It is started; there is no body."),),
    errors=(errors.InvalidContractError, errors.BreakdownAlreadyExistsError, errors.TooManyKeptError),
)
_BREAKDOWNS_GET: Final = Described(
    "Figures",
    "Read how far a breakdown from the log is",
    answers=(
        Answer(
            200,
            "The breakdown without its figures; `description` says how far it is, or how many events it counted.",
            BreakdownBody,
            {**_JOB, "feature": "user.device", "status": "Running", "events": 0},
        ),
    ),
    errors=(errors.BreakdownNotFoundError,),
)
_BREAKDOWNS_ACTIONS: Final = Described(
    "Figures",
    "Read what was shown in a range of the log",
    description=_COUNTED_FROM_LOG,
    parameters=_CHOSEN_ROWS,
    answers=(Answer(200, "The actions.", ActionsResponse, {**_FROM_LOG, **_ACTIONS}),),
    errors=_NO_RESULT,
)
_BREAKDOWNS_SEGMENTS: Final = Described(
    "Figures",
    "Read which segment gained in a range of the log",
    description=_COUNTED_FROM_LOG,
    parameters=_CHOSEN_ROWS,
    answers=(Answer(200, "The values of the feature.", SegmentsResponse, {**_FROM_LOG, **_SEGMENTS}),),
    errors=_NO_RESULT,
)
_BREAKDOWNS_CROSSED: Final = Described(
    "Figures",
    "Read what was shown to whom in a range of the log",
    description=_COUNTED_FROM_LOG,
    parameters=_CROSSED_PARAMETERS,
    answers=(Answer(200, "A cell for each action and value.", CrossedResponse, {**_FROM_LOG, **_CROSSED}),),
    errors=_NO_RESULT,
)
_BREAKDOWNS_LIST: Final = Described(
    "Figures",
    "List the breakdowns from the log",
    parameters=_PAGING,
    answers=(
        Answer(
            200,
            "A page of them, newest first; `nextLink` is the address of the next page.",
            BreakdownPage,
            {"value": [{**_JOB, "feature": "user.device", "status": "Running"}]},
        ),
    ),
)
_BREAKDOWNS_DELETE: Final = Described(
    "Figures",
    "Delete a breakdown from the log",
    description="One that is under way is cancelled.",
    answers=(_DONE,),
    errors=(errors.BreakdownNotFoundError,),
)

# --- loops -----------------------------------------------------------------------------------------------------------

_LOOP: Final[dict[str, Any]] = {
    "name": "news",
    "endpoint": "https://personalizer.example/loops/news",
    "tier": "S0",
    "createdAt": _NOON,
    "configuration": {**_SETTINGS_LEFT, "modelRetrainDays": 2},
}
_KEY: Final = "0123456789abcdef0123456789abcdef"
_LOOPS_LIST: Final = Described(
    "Loops", "List the loops", answers=(Answer(200, "The default loop, then by name.", LoopsResponse, {"value": [_LOOP]}),)
)
_LOOPS_GET: Final = Described(
    "Loops", "Read a loop", answers=(Answer(200, "The loop, without its keys.", LoopBody, _LOOP, headers=_STATE),)
)
_LOOPS_PUT: Final = Described(
    "Loops",
    "Make or change a loop",
    body=Body(LoopRequest, "Any part of a configuration.", {"tier": "S0", "configuration": {"rewardWaitTime": "PT30M"}}, required=False),
    answers=(
        Answer(200, "The loop, changed.", LoopBody, _LOOP, headers=_STATE),
        Answer(
            201,
            "The new loop with its two keys, which are shown this once.",
            LoopBody,
            {**_LOOP, "keys": [_KEY, _KEY[::-1]]},
            headers=_STATE,
        ),
    ),
    parameters=(_IF_MATCH, _IF_NEW),
    errors=(*_CONFIGURATION_ERRORS, errors.InvalidSasUriError, errors.PreconditionFailedError),
)
_LOOPS_PREVIEW: Final = Described(
    "Loops",
    "Ask what making or changing a loop would do",
    description="Nothing is made or changed. Of a loop that is there, the answer lists each value that would change.",
    body=Body(LoopRequest, "Any part of a configuration.", {"configuration": {"defaultReward": 0.5}}, required=False),
    answers=(Answer(200, "Whether the loop is there, and the effect of the change.", LoopPreviewResponse, {**_EFFECT, "isThere": True}),),
    errors=(*_CONFIGURATION_ERRORS, errors.InvalidSasUriError),
)
_LOOPS_DELETE: Final = Described(
    "Loops", "Delete a loop", description="Its data are erased soon after.", answers=(_DONE,), errors=(errors.InvalidRequestError,)
)
_KEYS_REGENERATE: Final = Described(
    "Loops",
    "Make a new key",
    description="It replaces the loop's first or second key, or its client key, which may only rank, reward and activate. "
    "This process refuses the old key at once, the others soon after.",
    answers=(Answer(200, "The new key, which is shown this once.", KeyResponse, {"number": 1, "key": _KEY}),),
)

# --- the service -----------------------------------------------------------------------------------------------------

_TAG: Final = {"ETag": "The content's tag. Send it in `If-None-Match` to get 304 while the content is the same."}
_IF_NONE_MATCH: Final = Parameter("If-None-Match", {"type": "string"}, "The tag of the content that you have.", place="header")
_UNCHANGED: Final = Answer(304, "The content is still the same.", headers=_TAG)
_PROGRESS: Final[dict[str, Any]] = {
    "name": "default",
    "learningMode": "Online",
    "rewardWaitTime": "PT10M",
    "modelVersion": "00000042-36c28f7b92d1",
    "modelAgeSeconds": 74.2,
    "publishedModelVersion": "00000042-36c28f7b92d1",
    "publishedModelLearned": 21100,
    "watermark": _NOON,
    "lagSeconds": 0.0,
    "counters": {
        "ranked": 1204,
        "learned": 1100,
        "skipped": {"notActivated": 4},
        "pending": 100,
        "rewards": 310,
        "lateRewards": 40,
        "unknownRewards": 0,
        "stragglers": 0,
        "forgottenRewards": 0,
        "repeatedRewards": 0,
    },
    "importedEvents": 20000,
    "apprentice": None,
    "anew": {"chunks": 1200, "chunksDone": 300, "chunksLeftOut": 0, "learned": 123456, "begunAt": "2026-05-17T11:58:02.118204Z"},
    "mirror": {"state": "working", "lastSuccessAt": "2026-05-17T11:59:30.250000Z", "error": None, "nextTryAt": None},
    "advice": [
        {
            "code": "lateRewards",
            "message": "13 % of the latest rewards came after the reward wait time, which is 10 minutes. They are not learned.",
            "feature": None,
        },
        {
            "code": "personalData",
            "message": "user.mail, of the context, seems to hold an e-mail address. It is stored with each event. Leave it out.",
            "feature": "user.mail",
        },
    ],
    "uploads": {"stored": 998, "repeated": 0, "refused": {"NotReproduced": 1}},
    "error": None,
}
_STATUS: Final = Described(
    "Service",
    "Read the status",
    description="Without a key it says that the service runs. With a key it says how far the loop is, and what keeps it from learning.",
    answers=(
        Answer(
            200,
            "The status; with a key, `loop` too.",
            StatusResponse,
            {
                "service": "personalizer",
                "apiStatus": "Valid",
                "apiStatusMessage": "The service is running and your key is valid.",
                "loop": _PROGRESS,
            },
        ),
    ),
    takes_key=True,
)
_SERVICE_STATUS: Final = replace(
    _STATUS,
    summary="Read the status with a key",
    description="Like the status without a version in its path, but only with a key. Clients use it to check a key.",
    takes_key=False,
)
_OPENAPI: Final = Described(
    "Service",
    "Read this document",
    parameters=(_IF_NONE_MATCH,),
    answers=(Answer(200, "This document.", media_type=JSON, headers=_TAG), _UNCHANGED),
)
_DOCS: Final = Described(
    "Service",
    "Read this document as a page",
    parameters=(_IF_NONE_MATCH,),
    answers=(Answer(200, "The page.", media_type=HTML, headers=_TAG), _UNCHANGED),
)

DESCRIBED: Final[Mapping[str, Described]] = MappingProxyType(
    {
        "rank": _RANK,
        "reward": _REWARD,
        "activate": _ACTIVATE,
        "multislot_rank": _MULTISLOT_RANK,
        "multislot_reward": _MULTISLOT_REWARD,
        "multislot_activate": _MULTISLOT_ACTIVATE,
        "configuration_get": _CONFIGURATION_GET,
        "configuration_put": _CONFIGURATION_PUT,
        "configuration_put_2022": _CONFIGURATION_PUT_2022,
        "configuration_set": _CONFIGURATION_SET,
        "configuration_unset": _CONFIGURATION_UNSET,
        "policy_get": _POLICY_GET,
        "policy_put": _POLICY_PUT,
        "policy_delete": _POLICY_DELETE,
        "preview": _PREVIEW,
        "model_get": _MODEL_GET,
        "model_put": _MODEL_PUT,
        "model_delete": _MODEL_DELETE,
        "model_properties": _MODEL_PROPERTIES,
        "model_versions": _MODEL_VERSIONS,
        "model_restore": _MODEL_RESTORE,
        "models_serving": _MODELS_SERVING,
        "models_compare": _MODELS_COMPARE,
        "logs_properties": _LOGS_PROPERTIES,
        "logs_delete": _LOGS_DELETE,
        "logs_lines": _LOGS_LINES,
        "logs_interactions": _LOGS_INTERACTIONS,
        "logs_decisions": _LOGS_DECISIONS,
        "logs_observations": _LOGS_OBSERVATIONS,
        "receipt": _RECEIPT,
        "changes": _CHANGES,
        "events": _EVENTS,
        "evaluations_create": _EVALUATIONS_CREATE,
        "evaluations_put": _EVALUATIONS_PUT,
        "evaluations_get_old": _EVALUATIONS_GET_OLD,
        "evaluations_get": _EVALUATIONS_GET,
        "evaluations_report": _EVALUATIONS_REPORT,
        "evaluations_list_old": _EVALUATIONS_LIST_OLD,
        "evaluations_list": _EVALUATIONS_LIST,
        "evaluations_delete": _EVALUATIONS_DELETE,
        "apply_from_evaluation": _APPLY,
        "importances_put": _IMPORTANCES_PUT,
        "importances_get": _IMPORTANCES_GET,
        "importances_list": _IMPORTANCES_LIST,
        "importances_delete": _IMPORTANCES_DELETE,
        "schedules_put": _SCHEDULES_PUT,
        "schedules_get": _SCHEDULES_GET,
        "schedules_list": _SCHEDULES_LIST,
        "schedules_delete": _SCHEDULES_DELETE,
        "loops_list": _LOOPS_LIST,
        "loops_get": _LOOPS_GET,
        "loops_put": _LOOPS_PUT,
        "loops_preview": _LOOPS_PREVIEW,
        "loops_delete": _LOOPS_DELETE,
        "keys_regenerate": _KEYS_REGENERATE,
        "figures": _FIGURES,
        "figures_actions": _FIGURES_ACTIONS,
        "figures_segments": _FIGURES_SEGMENTS,
        "figures_crossed": _FIGURES_CROSSED,
        "breakdowns_put": _BREAKDOWNS_PUT,
        "breakdowns_get": _BREAKDOWNS_GET,
        "breakdowns_actions": _BREAKDOWNS_ACTIONS,
        "breakdowns_segments": _BREAKDOWNS_SEGMENTS,
        "breakdowns_crossed": _BREAKDOWNS_CROSSED,
        "breakdowns_list": _BREAKDOWNS_LIST,
        "breakdowns_delete": _BREAKDOWNS_DELETE,
        "status": _STATUS,
        "service_status": _SERVICE_STATUS,
        "openapi": _OPENAPI,
        "docs": _DOCS,
    }
)
"""By the name of the operation; by that of its function for 2022-09-01-preview where that one differs."""
