//! The documents that are measured: made here, the same in every run, in the shapes that EM answers.

use std::fmt::Write as _;

/// A query result with sessions of two machines each, as EM answers `format=Entities`.
pub fn sessions(count: usize, indent: bool) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\">\n  <Entities>\n    <CloudFailoverSessions>\n",
    );
    for i in 0..count {
        let _ = write!(
            xml,
            r#"      <CloudFailoverSession Type="CloudFailoverSession" Href="https://em.lab.example:9398/api/cloud/failoverSessions/12295005-66e6-477d-a6d3-{i:012x}?format=Entity" Name="Failover plan of tenant {}" UID="urn:veeam:CloudFailoverSession:12295005-66e6-477d-a6d3-{i:012x}">
        <Links>
          <Link Rel="Up" Type="BackupServerReference" Href="https://em.lab.example:9398/api/backupServers/4ceb4e03-d23d-4c4e-be05-21580b260243" Name="vbr.lab.example" />
          <Link Rel="Alternate" Type="CloudFailoverSessionReference" Href="https://em.lab.example:9398/api/cloud/failoverSessions/12295005-66e6-477d-a6d3-{i:012x}" Name="Failover plan of tenant {}" />
        </Links>
        <JobType>FailoverPlan</JobType>
        <CreationTimeUTC>2026-01-13T16:21:35.74Z</CreationTimeUTC>
        <EndTimeUTC>2026-01-13T16:23:16.11Z</EndTimeUTC>
        <State>Stopped</State>
        <Result>Success</Result>
        <Progress>100</Progress>
        <CloudFailoverTasks>
"#,
            i % 50,
            i % 50
        );
        for vm in ["filesrv", "database"] {
            let _ = write!(
                xml,
                r#"          <CloudFailoverTasks VmName="{vm}{i:04}">
            <VmReplicaPointLink Rel="Related" Type="CloudVmReplicaPointReference" Href="https://em.lab.example:9398/api/cloud/vmReplicaPoints/c1beab6b-2b18-47f1-9e71-{i:012x}" Name="{vm}{i:04}@2026-01-13 05:00:46" />
            <CreationTimeUTC>2026-01-13T16:21:40.13Z</CreationTimeUTC>
            <State>Stopped</State>
            <Result>Success</Result>
            <Progress>100</Progress>
          </CloudFailoverTasks>
"#
            );
        }
        xml.push_str("        </CloudFailoverTasks>\n      </CloudFailoverSession>\n");
    }
    xml.push_str("    </CloudFailoverSessions>\n  </Entities>\n  <PagingInfo PageNum=\"1\" PageSize=\"1000\" PagesCount=\"1\" />\n</QueryResult>\n");
    if indent {
        xml
    } else {
        xml.lines().map(str::trim_start).collect()
    }
}

/// A task as EM answers it, about 1 KB.
pub const TASK: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<Task xmlns="http://www.veeam.com/ent/v1.0" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" Type="Task" Href="https://em.lab.example:9398/api/tasks/task-1">
  <Links>
    <Link Rel="Delete" Type="Task" Href="https://em.lab.example:9398/api/tasks/task-1" />
    <Link Rel="Related" Type="CloudFailoverSession" Href="https://em.lab.example:9398/api/cloud/failoverSessions/a986d473-0248-4884-9832-17ec982ee393?format=Entity" Name="Failover plan of tenant 7" />
    <Link Rel="Related" Type="CloudFailoverPlan" Href="https://em.lab.example:9398/api/cloud/cloudFailoverPlans/3f56fa52-c902-4655-9774-2022fde214d2?format=Entity" Name="Failover plan of tenant 7" />
  </Links>
  <TaskId>task-1</TaskId>
  <State>Finished</State>
  <Operation>StartCloudFailoverPlan</Operation>
  <Result Success="true">
    <Message>The failover of 4 machines was started at 2026-01-13 16:21:35</Message>
  </Result>
</Task>"#;

/// A backup job with forty machines, about 10 KB.
pub fn job() -> String {
    let mut xml = String::from(
        r#"<Job xmlns="http://www.veeam.com/ent/v1.0" Type="Job" Href="https://em.lab.example:9398/api/jobs/5be0ec9a-2a3c-4be8-a4fa-3c1f0b0a5b3f?format=Entity" Name="Backup of the file servers" UID="urn:veeam:Job:5be0ec9a-2a3c-4be8-a4fa-3c1f0b0a5b3f">
<Links><Link Rel="Up" Type="BackupServerReference" Href="https://em.lab.example:9398/api/backupServers/4ceb4e03-d23d-4c4e-be05-21580b260243" Name="vbr.lab.example" /></Links>
<JobType>Backup</JobType><Platform>VMware</Platform><Description>Every night, kept for a fortnight</Description><NextRun>2026-01-14T21:00:00Z</NextRun>
<JobScheduleOptions><Standart><OptionsDaily Enabled="true"><Kind>Everyday</Kind><Days>Sunday</Days><Days>Monday</Days><Days>Tuesday</Days><TimeOffsetUtc>75600</TimeOffsetUtc></OptionsDaily></Standart></JobScheduleOptions>
<JobInfo><BackupJobInfo><Includes>"#,
    );
    for i in 0..40 {
        let _ = write!(
            xml,
            r#"<ObjectInJob Type="ObjectInJob" Href="https://em.lab.example:9398/api/jobs/5be0ec9a/includes/{i}"><ObjectInJobId>{i}</ObjectInJobId><HierarchyObjRef>urn:VMware:Vm:0a1b.vm-{i}</HierarchyObjRef><Name>filesrv{i:02}</Name><DisplayName>filesrv{i:02}</DisplayName><Order>{i}</Order></ObjectInJob>"#
        );
    }
    xml.push_str("</Includes></BackupJobInfo></JobInfo><ScheduleConfigured>true</ScheduleConfigured><ScheduleEnabled>true</ScheduleEnabled></Job>");
    xml
}

/// A query result of at least so many bytes, written page by page, for what need not be held in memory.
pub fn sessions_of(bytes: usize) -> String {
    sessions(bytes / 2_000, true)
}
