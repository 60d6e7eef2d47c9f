using System.CommandLine;
using System.Runtime.InteropServices;
using GemmaCore.Server;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore serve</c>: an OpenAI-compatible server.</summary>
internal static class ServeCommand
{
    public static Command Create()
    {
        var command = new Command("serve", """
            Serve a model and its adapters over OpenAI's API. Chat and text completions, streamed, with images as data URLs, or by https addresses of hosts allowed
            by --allow-image-host; label scores; embeddings; a page to try it at /.

            Examples:
              gemmacore serve demo --port 0
              gemmacore serve demo --port 0 --adapter cells=demo-out --api-key change-me --max-tokens 200
            """);
        var model = new ModelOptions();
        var serving = new ServingOptions();
        model.AddTo(command, adapter: false);
        serving.AddTo(command);
        // Not asynchronous: such an action would be ended two seconds after Ctrl-C, with answers under way.
        command.SetAction(parsed =>
        {
            ServerOptions options = serving.Read(parsed);
            Dictionary<string, string> adapters = serving.Adapters(parsed);
            RunAsync(options, () => new ServedModel(serving.NameOf(parsed, parsed.GetValue(model.Model)!), model.Load(parsed), adapters, options)).GetAwaiter().GetResult();
            return 0;
        });
        return command;
    }

    private static async Task RunAsync(ServerOptions options, Func<ServedModel> load)
    {
        ServedModel? served = null;
        try
        {
            // First the address: it may be taken, and whoever waits for the server is told that the model is on its way.
            await using GemmaServer server = await GemmaServer.StartAsync(options, Log).ConfigureAwait(false);
            served = load();
            server.Serve(served);
            await AnswerAsync(server, served).ConfigureAwait(false);
        }
        finally
        {
            served?.Dispose();
        }
    }

    private static async Task AnswerAsync(GemmaServer server, ServedModel served)
    {
        var stop = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration interrupt = Edge.Interrupted.Register(() => stop.TrySetResult());
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;
            stop.TrySetResult();
        });
        string adapters = string.Join(", ", served.AdapterNames);
        Console.Error.WriteLine($"serving {served.Name}{(adapters.Length > 0 ? $" and its adapters {adapters}" : "")} at {server.Url}/v1{(served.Options.ServesPage ? $", with a page at {server.Url}/" : "")}; Ctrl-C stops");
        await Task.WhenAny(stop.Task, served.Loop.Completion).ConfigureAwait(false);
        // Rather no server than one that answers from a device that has failed.
        if (served.Loop.Fault is { } fault) throw new InvalidOperationException($"the model has failed: {fault.Message}", fault);
        Console.Error.WriteLine("gemmacore: finishing the answers under way");
        await server.StopAsync().ConfigureAwait(false);
    }

    private static void Log(ILoggingBuilder logging)
    {
        logging.AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat, console.ColorBehavior) = (true, "HH:mm:ss ", LoggerColorBehavior.Disabled));
        logging.Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        logging.AddFilter("Microsoft", LogLevel.Warning);
    }
}
