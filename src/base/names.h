/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the outside world sees, in one place: bus names and paths, unit names, environment, journal fields, message
 * ids. systemd/syncrun.catalog has an entry for each message id; a test compares the two. */

#define SYNCRUN_BUS_NAME           "org.syncrun1"
#define SYNCRUN_PATH               "/org/syncrun1"
#define SYNCRUN_PATH_CONNECTOR     "/org/syncrun1/connector"
#define SYNCRUN_PATH_RUN           "/org/syncrun1/run"
#define SYNCRUN_PATH_CONNECTION    "/org/syncrun1/connection"
#define SYNCRUN_IFACE_MANAGER      "org.syncrun1.Manager"
#define SYNCRUN_IFACE_CONNECTOR    "org.syncrun1.Connector"
#define SYNCRUN_IFACE_RUN          "org.syncrun1.Run"
#define SYNCRUN_IFACE_CONNECTION   "org.syncrun1.Connection"
#define SYNCRUN_IFACE_WORKER       "org.syncrun1.Worker"
#define SYNCRUN_ERROR_PREFIX       "org.syncrun1.Error."

#define POLKIT_ACTION_TRIGGER         "org.syncrun1.trigger"
#define POLKIT_ACTION_FULL_RESYNC     "org.syncrun1.full-resync"
#define POLKIT_ACTION_CANCEL          "org.syncrun1.cancel"
#define POLKIT_ACTION_CONFIGURE       "org.syncrun1.configure"
#define POLKIT_ACTION_RECONNECT       "org.syncrun1.reconnect"
#define POLKIT_ACTION_MANAGE_KEYS     "org.syncrun1.manage-keys"
#define POLKIT_ACTION_MANAGE_WEBHOOKS "org.syncrun1.manage-webhooks"
#define POLKIT_ACTION_REPORT          "org.syncrun1.report"
#define POLKIT_ACTION_READ_LOG        "org.syncrun1.read-log"

/* The daemon's unit and user, and the group by which the bus knows workers. */
#define SYNCRUN_DAEMON_UNIT        "syncrund.service"
#define SYNCRUN_USER               "syncrun"
#define SYNCRUN_WORKER_GROUP       "syncrun-worker"

/* The worker's unit: syncrun@NAME.service. */
#define SYNCRUN_UNIT_PREFIX        "syncrun@"
#define SYNCRUN_UNIT_SUFFIX        ".service"

/* Its dynamic user, sr-NAME, and where syncrun-userdb(8) records that. */
#define SYNCRUN_WORKER_USER_PREFIX "sr-"
#define SYNCRUN_USERDB_DIR         "/run/userdb"

/* What runs beside workers: syncrun-reconnect@CONNECTION.service, syncrun-delete@CONNECTOR.service. */
#define SYNCRUN_RECONNECT_UNIT_PREFIX "syncrun-reconnect@"
#define SYNCRUN_DELETE_UNIT_PREFIX    "syncrun-delete@"

/* The HTTP shim's. */
#define SYNCRUN_HTTP_UNIT          "syncrun-http.service"

/* Environment that a connector's programs get. */
#define SYNCRUN_ENV_PREFIX         "SYNCRUN_"                  /* of all that we set */
#define SYNCRUN_ENV_CONNECTOR      "SYNCRUN_CONNECTOR"
#define SYNCRUN_ENV_CONNECTION     "SYNCRUN_CONNECTION"        /* for ExecReconnect= */
#define SYNCRUN_ENV_RUN_ID         "SYNCRUN_RUN_ID"
#define SYNCRUN_ENV_FULL_RESYNC    "SYNCRUN_FULL_RESYNC"
#define SYNCRUN_ENV_STATE          "SYNCRUN_STATE"
#define SYNCRUN_ENV_ACCOUNTS       "SYNCRUN_ACCOUNTS"          /* those asked for, one a line; unset: all */

/* Environment that the programs themselves read (for private instances: the demo and the tests). */
#define SYNCRUN_ENV_BUS_ADDRESS    "SYNCRUN_BUS_ADDRESS"       /* instead of the system bus */
#define SYNCRUN_ENV_WORKER         "SYNCRUN_WORKER"            /* its program, where no unit starts it */
#define SYNCRUN_ENV_CONFIG_DIRS    "SYNCRUN_CONFIG_DIRS"       /* colon-separated, instead of /etc/syncrun:... */
#define SYNCRUN_ENV_WEB_DIR        "SYNCRUN_WEB_DIR"           /* the page's files, instead of those installed */
#define SYNCRUN_ENV_PAGER          "SYNCRUN_PAGER"             /* instead of PAGER */
#define SYNCRUN_ENV_LOG_LEVEL      "SYNCRUN_LOG_LEVEL"
#define SYNCRUN_ENV_LOG_TARGET     "SYNCRUN_LOG_TARGET"        /* auto, journal, console, null */

/* Journal fields. */
#define FIELD_RUN_ID       "SYNCRUN_RUN_ID"
#define FIELD_CONNECTOR    "SYNCRUN_CONNECTOR"
#define FIELD_PROVIDER     "SYNCRUN_PROVIDER"
#define FIELD_USER_ID      "SYNCRUN_USER_ID"
#define FIELD_SOURCE       "SYNCRUN_SOURCE"
#define FIELD_TRIGGER      "SYNCRUN_TRIGGER"
#define FIELD_REQUESTED_BY "SYNCRUN_REQUESTED_BY"
#define FIELD_STAGE        "SYNCRUN_STAGE"
#define FIELD_OUTCOME      "SYNCRUN_OUTCOME"
#define FIELD_CATEGORY     "SYNCRUN_CATEGORY"
#define FIELD_ACCOUNT      "SYNCRUN_ACCOUNT"
#define FIELD_ERROR        "SYNCRUN_ERROR"
#define FIELD_DISCOVERED   "SYNCRUN_DISCOVERED"
#define FIELD_ADDED        "SYNCRUN_ADDED"
#define FIELD_UPDATED      "SYNCRUN_UPDATED"
#define FIELD_DEDUPED      "SYNCRUN_DEDUPED"
#define FIELD_DURATION     "SYNCRUN_DURATION_USEC"
#define FIELD_KEY_NAME     "SYNCRUN_KEY_NAME"
#define FIELD_CONNECTION   "SYNCRUN_CONNECTION"
#define FIELD_CONNECTION_STATE "SYNCRUN_CONNECTION_STATE"
#define FIELD_RESULT       "SYNCRUN_RECONNECT_RESULT"
#define FIELD_ENDPOINT     "SYNCRUN_ENDPOINT"
#define FIELD_ENDPOINT_URL "SYNCRUN_ENDPOINT_URL"
#define FIELD_LOST         "SYNCRUN_MESSAGES_LOST"
#define FIELD_CONFIG_FILE  "CONFIG_FILE"
#define FIELD_CONFIG_LINE  "CONFIG_LINE"

/* Message ids, one for each kind of entry that a person may search for. */
#define MSG_DAEMON_STARTED     "5bdd5a1b0d3f4a1ea20cbee3e6a84d10"
#define MSG_DAEMON_STOPPED     "a1f04e1e5d9a4d0f8b2a6fb1c9c7d4e2"
#define MSG_RUN_QUEUED         "0f6d4f4a7f8e4c5c9a4be19a3b0b6a71"
#define MSG_RUN_STARTED        "3c1d7c5e8b0f4f24a1b6a4c2f5d09e83"
#define MSG_RUN_SUCCEEDED      "7e9a2f6c1b5d4e3f8a7c0d9b6e4f2a15"
#define MSG_RUN_PARTIAL        "c4b8e1d2f3a54b6c97d80e1f2a3b4c56"
#define MSG_RUN_FAILED         "91d3b7a6c5e84f20b1a2c3d4e5f60718"
#define MSG_RUN_CANCELLED      "2d4f6a8c0e1b43d5a7c9e1f3b5d7f901"
#define MSG_RUN_SKIPPED        "e8c6a4f2d0b94e7c85a3f1d9b7c5e3a2"
#define MSG_RUN_RETRY          "b2a1908f7e6d4c5bba493827f6e5d4c3"
#define MSG_RETRY_DROPPED      "d30aefa1d4b64f6d8d5f6cd1b40f3a7e"
#define MSG_RUN_LOST           "6a5b4c3d2e1f40918273a4b5c6d7e8f9"
#define MSG_ATTENTION_RAISED   "f1e2d3c4b5a64978a8b9cadbecfd0e1f"
#define MSG_ATTENTION_CLEARED  "13579bdf02464ace8f13579bdf0246ac"
#define MSG_CONNECTOR_LOADED   "48d1b2c3a4f54e6d97b8c9dae0f1a2b3"
#define MSG_CONNECTOR_BAD      "d7f3a9c1e5b84d2096a4c8e0b2f4d6a8"
#define MSG_CONFIG_WARNING     "5e0d3c2b1a4f4e8d9c7b6a5f4e3d2c1b"
#define MSG_CONFIG_UNREAD      "c646218e768b4c449e057c5c87f27dd0"
#define MSG_CONFIG_READ        "bcfb47f6edce43429e90fd4ff7108d29"
#define MSG_CLOCK_CHANGED      "8c7d6e5f4a3b42c1b0a9f8e7d6c5b4a3"
#define MSG_CONNECTION_STATE   "8cab4d9402924d1786100c54540fb7aa"
#define MSG_CONNECTION_LOADED  "59a77f615d924df69e8ffd9b2effdcac"
#define MSG_CONNECTION_BAD     "fa34fab58e51457c951fd01239c856b6"
#define MSG_RECONNECT_ENDED    "1e9c47831ef24dfd8d216f332bee9c68"
#define MSG_ITEMS_DELETED      "1d1dc84354cd46d79905d95a9b21c9bd"
#define MSG_ITEMS_KEPT         "ea6e482c01fc4e79bd5c582e9b20b8e2"
#define MSG_STORE_FAILED       "ab12cd34ef564789a0b1c2d3e4f5a6b7"
#define MSG_STORE_RECOVERED    "ba21dc43fe654987b1a0d3c2f5e4b7a6"
#define MSG_STORE_TAKEN        "0fe4b78c21d94c0a9d0a4b8ec6f2d173"
#define MSG_STORE_NEW          "6b7d1c35e08a4f2e8c94ab5713f0de26"
#define MSG_STORE_REFUSED      "cd34ef56ab784912c2d3e4f5a6b7c8d9"
#define MSG_KEY_ADDED          "0c50bed3885a471ba17f0d35ad81a04b"
#define MSG_KEY_REVOKED        "708ae0f7fc6947cca1c7f51ee427743c"
#define MSG_WEBHOOK_DISABLED   "e5a3a7d1c8f44b0fa2d96e0c1b7f5348"
#define MSG_WEBHOOK_LOST       "9f3c61d04be54c7aa8e2170d5b6fc493"
#define MSG_WEBHOOK_FAILING    "2d7f0a9b61c84e35b0a4f8e7d31c5962"
#define MSG_WEBHOOK_WORKS      "b86e41d37f0a4c1f9d25ce80a17b3f64"
#define MSG_WEBHOOK_GIVEN_UP   "5c19e7f24a6d4b08937d60be2f8a41d3"

/* Name of the process that keeps a worker, before the worker's pid; of at most 15 bytes with it. */
#define SYNCRUN_KEEPER_PREFIX "keeps "
