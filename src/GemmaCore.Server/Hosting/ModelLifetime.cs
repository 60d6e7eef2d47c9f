using GemmaCore.Server.Observability;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GemmaCore.Server;

/// <summary>
/// The model's life within an application: there before the first request, and until the last answer. When its device fails, the application is stopped: rather
/// none than one that answers garbage.
/// </summary>
internal sealed class ModelLifetime(IServiceProvider services, IHostApplicationLifetime application) : IHostedLifecycleService
{
    private ServedModel? _served;

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        _served = await Task.Run(services.GetRequiredService<ServedModel>, cancellationToken).ConfigureAwait(false);
        _ = WatchAsync(_served);
    }

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    // Before anything else stops: the web server still carries the answers that are ending.
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        if (_served is null) return;
        try
        {
            await _served.Loop.DrainAsync(_served.Options.DrainTime).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The host is out of patience; the loop ends when the model is disposed.
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task WatchAsync(ServedModel served)
    {
        await served.Loop.Completion.ConfigureAwait(false);
        if (served.Loop.Fault is not { } fault) return;
        ServerLog.ModelFailed(ServerLog.From(services), fault);
        Environment.ExitCode = 1;
        application.StopApplication();
    }
}
