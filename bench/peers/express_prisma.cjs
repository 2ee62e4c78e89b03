// Express 5 with Prisma 7: the predecessor's stack in its present form.
const { PrismaClient } = require('@prisma/client')
const { PrismaPg } = require('@prisma/adapter-pg')

const { PGHOST: host, PGUSER: user, PGDATABASE: database } = process.env
const prisma = new PrismaClient({ adapter: new PrismaPg({ host, user, database, max: 10 }) })

require('./express.cjs')({
  vehicle: parc => prisma.vehicle.findUnique({ where: { parc } }),
  events: () => prisma.event.findMany({ orderBy: { date: 'desc' } }),
  publicVehicles: () => prisma.vehicle.findMany({ where: { isPublic: true }, orderBy: { parc: 'asc' } }),
  create: body => prisma.event.create({ data: { ...body, date: new Date(body.date) } }),
  remove: id => prisma.event.delete({ where: { id } })
})
