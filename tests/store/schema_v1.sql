-- A project with one case, as segdesk wrote it with schema 1 (sqlite3 .dump).
BEGIN TRANSACTION;
CREATE TABLE cases (
	id VARCHAR NOT NULL,
	number INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	patient_key VARCHAR NOT NULL,
	modality VARCHAR NOT NULL,
	shape VARCHAR NOT NULL,
	geometry_sha256 VARCHAR NOT NULL,
	created VARCHAR NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (number),
	UNIQUE (name)
);
INSERT INTO "cases" VALUES('a37c3903485d4ec2af7eec998c5c059d',1,'scan','scan','','[4, 6, 5]','ec48cfe63cd2dfc229698551635434465872122f61bf2e01a59dc709bfe78a89','2026-11-21T16:01:52.542541+00:00');
CREATE TABLE channels (
	case_id VARCHAR NOT NULL,
	position INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	path VARCHAR NOT NULL,
	series_uid VARCHAR NOT NULL,
	image_hash VARCHAR NOT NULL,
	PRIMARY KEY (case_id, position),
	UNIQUE (case_id, name),
	FOREIGN KEY(case_id) REFERENCES cases (id)
);
INSERT INTO "channels" VALUES('a37c3903485d4ec2af7eec998c5c059d',0,'image','images/scan.nii.gz','','53dec21e3581c176fd6bbab0426f34f2acf25b6f737c5e3a2e9865c9c5331ba6');
CREATE TABLE consensuses (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	case_id VARCHAR NOT NULL,
	mask_sha256 VARCHAR NOT NULL,
	method VARCHAR NOT NULL,
	quorum VARCHAR,
	domain VARCHAR NOT NULL,
	vote_hashes VARCHAR NOT NULL,
	disputes INTEGER NOT NULL,
	summary VARCHAR NOT NULL,
	created VARCHAR NOT NULL,
	FOREIGN KEY(case_id) REFERENCES cases (id),
	FOREIGN KEY(mask_sha256) REFERENCES masks (sha256)
);
CREATE TABLE jobs (
	id INTEGER NOT NULL,
	kind VARCHAR NOT NULL,
	folder VARCHAR NOT NULL,
	status VARCHAR NOT NULL,
	detail VARCHAR NOT NULL,
	created VARCHAR NOT NULL,
	updated VARCHAR NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE masks (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	sha256 VARCHAR NOT NULL,
	case_id VARCHAR NOT NULL,
	rater_id VARCHAR,
	role VARCHAR NOT NULL,
	origin_kind VARCHAR NOT NULL,
	author VARCHAR NOT NULL,
	parents VARCHAR NOT NULL,
	parameters VARCHAR NOT NULL,
	weights_sha256 VARCHAR,
	created VARCHAR NOT NULL,
	UNIQUE (sha256),
	FOREIGN KEY(case_id) REFERENCES cases (id),
	FOREIGN KEY(rater_id) REFERENCES raters (id)
);
CREATE TABLE meta (
	"key" VARCHAR NOT NULL,
	value VARCHAR NOT NULL,
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('name','Livers');
INSERT INTO "meta" VALUES('required_reads','2');
CREATE TABLE models (
	id INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	folder VARCHAR NOT NULL,
	weights_sha256 VARCHAR NOT NULL,
	parent_sha256 VARCHAR,
	verdict VARCHAR NOT NULL,
	created VARCHAR NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (weights_sha256)
);
CREATE TABLE promotions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	model_id INTEGER NOT NULL,
	reason VARCHAR NOT NULL,
	created VARCHAR NOT NULL,
	FOREIGN KEY(model_id) REFERENCES models (id)
);
CREATE TABLE raters (
	id VARCHAR NOT NULL,
	name VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	weight DOUBLE NOT NULL,
	PRIMARY KEY (id),
	CHECK (weight >= 0),
	UNIQUE (name)
);
CREATE TABLE votes (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	case_id VARCHAR NOT NULL,
	rater_id VARCHAR NOT NULL,
	mask_sha256 VARCHAR,
	phase VARCHAR NOT NULL,
	confidence DOUBLE NOT NULL,
	comment VARCHAR NOT NULL,
	created VARCHAR NOT NULL,
	previous_hash VARCHAR NOT NULL,
	hash VARCHAR NOT NULL,
	UNIQUE (rater_id, previous_hash),
	FOREIGN KEY(case_id) REFERENCES cases (id),
	FOREIGN KEY(rater_id) REFERENCES raters (id),
	FOREIGN KEY(mask_sha256) REFERENCES masks (sha256),
	UNIQUE (hash)
);
CREATE INDEX ix_masks_case_id ON masks (case_id);
CREATE INDEX ix_votes_case_id ON votes (case_id);
CREATE INDEX ix_votes_rater_id ON votes (rater_id);
CREATE INDEX ix_consensuses_case_id ON consensuses (case_id);
CREATE TRIGGER votes_no_update BEFORE UPDATE ON votes BEGIN SELECT RAISE(ABORT, 'votes are never changed or deleted'); END;
CREATE TRIGGER votes_no_delete BEFORE DELETE ON votes BEGIN SELECT RAISE(ABORT, 'votes are never changed or deleted'); END;
CREATE TRIGGER consensuses_no_update BEFORE UPDATE ON consensuses BEGIN SELECT RAISE(ABORT, 'consensuses are never changed or deleted'); END;
CREATE TRIGGER consensuses_no_delete BEFORE DELETE ON consensuses BEGIN SELECT RAISE(ABORT, 'consensuses are never changed or deleted'); END;
CREATE TRIGGER promotions_no_update BEFORE UPDATE ON promotions BEGIN SELECT RAISE(ABORT, 'promotions are never changed or deleted'); END;
CREATE TRIGGER promotions_no_delete BEFORE DELETE ON promotions BEGIN SELECT RAISE(ABORT, 'promotions are never changed or deleted'); END;
DELETE FROM "sqlite_sequence";
COMMIT;
