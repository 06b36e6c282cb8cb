-- One index holds that an event goes to a lane once and finds the deliveries of an event; a server otherwise writes a second
-- entry with each change of a delivery's state. A program of the version before lives with it.
drop index webhook_deliveries_event;
create unique index webhook_deliveries_event on webhook_deliveries (event_id, lane);
--postgres alter table webhook_deliveries drop constraint webhook_deliveries_lane_event_id_key;
