using System.CommandLine;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints.Hub;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore download</c>: a repository of the Hugging Face hub.</summary>
internal static class DownloadCommand
{
    public static Command Create()
    {
        var command = new Command("download", """
            Download a model from the Hugging Face hub. It goes into the cache that the Python tools use too, or into a folder. An interrupted download goes on
            where it stopped; every file is checked. Models with terms of use need a token: accept the terms on the model's page and set HF_TOKEN.

            Examples:
              gemmacore download google/medgemma-4b-it
              gemmacore download google/medgemma-4b-it --include "*.json" --local-dir medgemma-configuration --json
            """);
        var repository = new Argument<string>("REPO") { Description = "hub id, ORG/NAME" };
        var revision = new Option<string>("--revision") { Description = "branch, tag or commit id", DefaultValueFactory = _ => "main" };
        var include = new Option<string[]>("--include") { Description = "only files like this, * and ? stand for any; may be repeated" };
        var exclude = new Option<string[]>("--exclude") { Description = "no files like this; may be repeated" };
        var folder = new Option<string?>("--local-dir") { Description = "folder for plain files instead of the cache" };
        var token = new Option<string?>("--token") { Description = "access token; HF_TOKEN keeps it out of the list of processes" };
        var json = new Option<bool>("--json") { Description = "print one JSON document" };
        command.Add(repository);
        foreach (Option option in (Option[])[revision, include, exclude, folder, token, json]) command.Add(option);
        command.SetAction(parsed =>
        {
            string name = parsed.GetValue(repository)!, wanted = parsed.GetValue(revision)!;
            if (!HubName.IsRepository(name)) throw new UsageException($"{name}: no hub id; expected ORG/NAME, such as google/medgemma-4b-it");
            if (!HubName.IsRelativePath(wanted)) throw new UsageException($"--revision {wanted}: expected a branch, a tag or a commit id");
            if (parsed.GetValue(folder) is "") throw new UsageException("--local-dir: expected a folder");
            using var client = new HubClient(EnvironmentVariables.Hub(parsed.GetValue(token)));
            var request = new HubRequest(name)
            {
                Revision = wanted,
                Include = parsed.GetValue(include) ?? [],
                Exclude = parsed.GetValue(exclude) ?? [],
                LocalFolder = parsed.GetValue(folder),
            };
            var progress = new DownloadProgress(Console.Error, bar: !parsed.GetValue(json) && !Console.IsErrorRedirected && !EnvironmentVariables.NoColor);
            HubSnapshot snapshot = client.DownloadAsync(request, progress.Show, Edge.Interrupted).GetAwaiter().GetResult();
            Console.WriteLine(parsed.GetValue(json) ? Document(request, snapshot).ToJsonString() : snapshot.Folder);
            return 0;
        });
        return command;
    }

    private static JsonObject Document(HubRequest request, HubSnapshot snapshot) => new()
    {
        ["repository"] = request.Repository,
        ["revision"] = request.Revision,
        ["commit"] = snapshot.Commit,
        ["folder"] = snapshot.Folder,
        ["files"] = new JsonArray([.. snapshot.Files.Select(file => (JsonNode)file)]),
        ["bytes"] = snapshot.TotalBytes,
        ["received_bytes"] = snapshot.ReceivedBytes,
    };
}
