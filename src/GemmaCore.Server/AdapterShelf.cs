using GemmaCore.Models.Lora;

namespace GemmaCore.Server;

/// <summary>
/// Adapters by the names that requests use. Whoever uses one holds it until the request is over; one that is taken off gets no new requests and is given up when the last
/// of those that hold it has ended. Safe to use from several threads.
/// </summary>
internal sealed class AdapterShelf
{
    private readonly Dictionary<string, Place> _places = new(StringComparer.Ordinal);
    private readonly HashSet<Place> _leaving = [];
    private readonly Lock _lock = new();

    /// <summary>Names, in order.</summary>
    public IReadOnlyList<string> Names
    {
        get
        {
            lock (_lock) return [.. _places.Keys.Order(StringComparer.Ordinal)];
        }
    }

    /// <summary>Adapters in memory, those that are leaving included.</summary>
    public IReadOnlyList<LoraAdapter> Adapters
    {
        get
        {
            lock (_lock) return [.. _places.Values.Concat(_leaving).Select(place => place.Adapter)];
        }
    }

    public bool Has(string name)
    {
        lock (_lock) return _places.ContainsKey(name);
    }

    public void Add(string name, LoraAdapter adapter)
    {
        lock (_lock) _places.Add(name, new Place(adapter));
    }

    /// <summary>Takes hold of an adapter; null when there is none of that name.</summary>
    public Hold? Take(string name)
    {
        lock (_lock)
        {
            if (!_places.TryGetValue(name, out Place? place)) return null;
            place.Holders++;
            return new Hold(this, place);
        }
    }

    /// <summary>
    /// The adapter of a name for callers within the process, who do not say when they are done with it: it then stays in memory to the end, also when it is taken off.
    /// Null when there is none of that name.
    /// </summary>
    public LoraAdapter? Pin(string name)
    {
        lock (_lock)
        {
            if (!_places.TryGetValue(name, out Place? place)) return null;
            if (!place.IsPinned) place.Holders++;
            place.IsPinned = true;
            return place.Adapter;
        }
    }

    /// <summary>Takes a name off; null when there is none. The adapter stays until <see cref="TryGiveUp"/>.</summary>
    public LoraAdapter? Remove(string name)
    {
        lock (_lock)
        {
            if (!_places.Remove(name, out Place? place)) return null;
            _leaving.Add(place);
            return place.Adapter;
        }
    }

    /// <summary>True, once, when nobody holds an adapter that was taken off any more.</summary>
    public bool TryGiveUp(LoraAdapter adapter)
    {
        lock (_lock) return _leaving.RemoveWhere(place => place.Adapter == adapter && place.Holders == 0) > 0;
    }

    private sealed class Place(LoraAdapter adapter)
    {
        public LoraAdapter Adapter => adapter;

        public int Holders { get; set; }

        public bool IsPinned { get; set; }
    }

    /// <summary>The use of an adapter by one request.</summary>
    public sealed class Hold : IDisposable
    {
        private readonly AdapterShelf _shelf;
        private Place? _place;

        internal Hold(AdapterShelf shelf, object place) => (_shelf, _place) = (shelf, (Place)place);

        public LoraAdapter Adapter => _place!.Adapter;

        public void Dispose()
        {
            lock (_shelf._lock)
            {
                if (_place is not null) _place.Holders--;
                _place = null;
            }
        }
    }
}
